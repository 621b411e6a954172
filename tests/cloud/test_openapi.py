"""The HTTP interface as it describes itself: every operation, each example valid, each real answer as described, and no
request that a stranger can think of fails the server.
"""

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from cloud.app import build_app
from cloud.identity.loads import LimitSettings
from cloud.openapi.operations import OPERATIONS
from cloud.service import open_cloud
from cloud.settings import load_settings
from contracts.batch import decode_batch
from tests.cloud.served import make_token
from tests.plain_http import NO_TLS
from tests.postgres import PostgresServer
from tests.processes import REPOSITORY, free_port, is_listening, program, running

Run = Callable[[Any], Any]
WRITTEN = REPOSITORY / "docs" / "openapi.json"
# Whoever tries every request that a stranger can think of comes more often than anybody may.
NO_LIMITS = "".join(["[limits]\n", *(f"{load}_per_minute = 0\n" for load in LimitSettings().per_minute)])
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What /openapi.json answers."""
    folder = tmp_path_factory.mktemp("document")

    async def ask() -> dict[str, Any]:
        async with open_cloud(load_settings(write_site(folder, 1))) as cloud:
            return build_app(cloud).openapi()

    return asyncio.run(ask())


def write_site(folder: Path, port: int, *, store_url: str = "") -> Path:
    """The settings of a cloud without a chain."""
    store = f'[store]\nurl = "{store_url}"\n' if store_url else ""
    (folder / "cloud.toml").write_text(
        f'[cloud]\nlisten = "127.0.0.1:{port}"\npublic_url = "http://localhost:{port}"\ndata_dir = "data"\n'
        f'[super_log]\norigin = "cuiyuan.example/log"\n{store}{NO_LIMITS}'
    )
    return folder / "cloud.toml"


def contents(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every body of every operation, with where it stands."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
            for name, body in bodies.items():
                for media, content in body.get("content", {}).items():
                    yield f"{method} {path} {name} {media}", content


def validator_of(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": document["components"]})


def test_every_operation_is_described_and_every_description_is_of_one(document: dict[str, Any]) -> None:
    served = {(method, path) for path, operations in document["paths"].items() for method in operations}
    assert served == set(OPERATIONS)
    assert document["openapi"].startswith("3.1.")


def test_every_example_is_valid_and_every_refusal_shows_its_code_and_what_to_do(document: dict[str, Any]) -> None:
    for where, content in contents(document):
        schema = content["schema"]
        Draft202012Validator.check_schema({key: value for key, value in schema.items() if key != "components"})
        examples = content.get("examples", {})
        for name, example in examples.items():
            faults = list(validator_of(document, schema).iter_errors(example["value"]))
            assert faults == [], f"{where} {name}: {faults[0].message}"
        if "allOf" in schema:
            assert {one["value"]["error"] for one in examples.values()} == set(schema["properties"]["error"]["enum"])
            assert all(len(one["value"]["message"]) > 10 for one in examples.values()), where
        elif schema:
            assert examples, f"{where} shows no example"
    batch = OPERATIONS["post", "/v1/logs/{origin}/entries"].request
    assert batch is not None and batch.example_base64 is not None
    assert decode_batch(base64.b64decode(batch.example_base64))


def test_every_parameter_shows_an_example(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            names = {one["name"] for one in operation.get("parameters", ()) if one["required"] and "example" not in one}
            assert names == set(), f"{method} {path}"


def test_the_document_in_docs_is_the_one_that_is_served(document: dict[str, Any]) -> None:
    assert json.loads(WRITTEN.read_text(encoding="utf-8")) == document, (
        "write it again: python -m tests.cloud.test_openapi"
    )


def test_a_fault_in_a_parameter_is_told_without_what_was_sent(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_cloud(load_settings(write_site(tmp_path, 1))) as cloud:
            transport = httpx.ASGITransport(app=build_app(cloud))
            async with httpx.AsyncClient(transport=transport, base_url="http://cloud") as client:
                answer = await client.get("/v1/exports/readings.csv", params={"boundaries": "secret-words"})
                assert answer.status_code == 422 and answer.json()["error"] == "malformed"
                assert "query.boundaries" in answer.json()["message"] and "secret-words" not in answer.text
                assert (await client.get("/v1/nothing")).json()["error"] == "not_found"
                assert (await client.delete("/v1/status")).json()["error"] == "method_not_allowed"

    run(scenario())


@contextmanager
def served(folder: Path, store_url: str = "") -> Iterator[str]:
    """A real server without a chain; its address."""
    port = free_port()
    command = [program("minglou"), "cloud", "serve", "--config", write_site(folder, port, store_url=store_url)]
    with running(command, name="cloud", output_dir=folder, ready=lambda: is_listening(port), seconds=40):
        yield f"http://127.0.0.1:{port}"


def probe(address: str, folder: Path, *, examples: int, seed: int, token: str | None) -> None:
    """Schemathesis: the documented examples, values at the edge of each schema, and random ones, of every operation."""
    # 503 is an answer: it says what is missing or how long to wait. Where it may come, the document says.
    (folder / "schemathesis.toml").write_text("[checks.not_a_server_error]\nexpected-statuses = ['2xx', '4xx', 503]\n")
    command = [
        *(Path(sys.executable).parent / "schemathesis", "run", f"{address}/openapi.json"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", examples, "--seed", seed),
        *("--checks", ",".join(CHECKS), "--workers", "1", "--no-shrink", "--generation-database", "none"),
        *("--request-timeout", "60", "--no-color", "--warnings", "off"),
        *(() if token is None else ("-H", f"Authorization: Bearer {token}")),
    ]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.cloud.schemathesis_hooks", "PYTHONPATH": str(REPOSITORY)}
    ran = subprocess.run(
        [str(word) for word in command],
        cwd=folder, capture_output=True, text=True, timeout=1800, check=False, env=environment,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_request_fails_the_server_or_is_answered_otherwise_than_described(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    with served(tmp_path, postgres.url(postgres.new_database())) as address:
        token = make_token(tmp_path)
        ask_beyond_every_bound(address, token)
        examples, seed = int(os.environ.get("MINGLOU_SEEDS", "2")), int(os.environ.get("MINGLOU_SEED_BASE", "1"))
        probe(address, tmp_path, examples=examples, seed=seed, token=token)


def ask_beyond_every_bound(address: str, token: str) -> None:
    """Numbers that no database holds, and text that PostgreSQL takes for the end of one."""
    far, nothing = 10**30, "%00"
    headers = {"Authorization": f"Bearer {token}"}
    origin = "demo.minglou.example/cuiyuan/b07/e0"
    for path in (
        f"/v1/evidence/{origin}/{far}",
        f"/v1/evidence/{origin}/-1",
        f"/v1/evidence/{nothing}/1",
        f"/v1/logs/{origin}/entries?from={far}",
        f"/v1/logs/{nothing}/entries",
        f"/v1/logs/{nothing}",
        f"/v1/logs/{nothing}/checkpoint",
        f"/v1/logs/{origin}/tile/8/x999/{far}",
        f"/v1/bills/{far}",
        f"/v1/bills/{far}/units/{far}",
        f"/v1/bills/1/units/{far}",
        f"/v1/gateways/{nothing}/mail",
        "/v1/exports/readings.csv?from=0001-01-01T00:00:00%2B23:59",
        "/v1/exports/readings.csv?to=9999-12-31T23:59:59-23:59",
        f"/v1/exports/visits.csv?from={far}",
        f"/lifts/{nothing}",
        f"/readings/{origin}/{far}",
        f"/readings/{nothing}/1",
        f"/bills/{nothing}/{far}",
    ):
        answer = httpx.get(address + path, headers=headers, timeout=60, trust_env=False, verify=NO_TLS)
        assert answer.status_code < 500 or answer.status_code == 503, (path, answer.status_code, answer.text[:300])


if __name__ == "__main__":
    import tempfile

    async def write() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with open_cloud(load_settings(write_site(Path(folder), 1))) as cloud:
                text = json.dumps(build_app(cloud).openapi(), indent=1, ensure_ascii=False, sort_keys=True)
        WRITTEN.write_text(text + "\n", encoding="utf-8")

    asyncio.run(write())
