"""`minglou cloud serve` as a real process over real sockets, beside a real chain."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import httpx

from cloud.chain.deploy import trust_of, write_trust
from cloud.chain.deployment import write_deployment
from cloud.identity.roles import Role
from cloud.identity.tokens import SCOPES_OF
from contracts import ed25519
from contracts.batch import MEDIA_TYPE
from tests.cloud.chain_site import SUPER_KEY, SUPER_ORIGIN, ChainSite, secret_of
from tests.cloud.gateway import SimulatedGateway
from tests.plain_http import NO_TLS
from tests.processes import Program, free_port, is_listening, running


@dataclass
class ServedCloud:
    """A running cloud: its process, its address, its files."""

    program: Program
    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(
        self, gateway: SimulatedGateway, start: int = 0, end: int | None = None, body: bytes | None = None
    ) -> httpx.Response:
        return httpx.post(
            f"{self.url}/v1/logs/{gateway.origin}/entries",
            content=gateway.batch(start, end) if body is None else body,
            headers={"Content-Type": MEDIA_TYPE, "Authorization": f"Bearer {gateway.token.hex()}"},
            timeout=40,
            trust_env=False,
            verify=NO_TLS,
        )

    @cached_property
    def program_token(self) -> str:
        """A token for a program that may read everything."""
        return make_token(self.folder)

    def get(self, path: str, token: str | None = None, **params: object) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.get(
            f"{self.url}{path}",
            params=params,  # type: ignore[arg-type]
            headers=headers,
            timeout=70,
            trust_env=False,
            verify=NO_TLS,
        )


def make_token(folder: Path) -> str:
    """A token with every scope for the cloud in a folder, made as an operator makes one."""
    scopes = [word for scope in SCOPES_OF[Role.OPERATOR] for word in ("--scope", scope.value)]
    command = [minglou(), "identity", "token", "--name", "tests", *scopes, "--config", "cloud.toml"]
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=True)
    return made.stdout.strip()


def write_secret(path: Path, secret: str) -> None:
    path.touch(mode=0o600)
    path.write_text(secret)


def write_settings(
    folder: Path, site: ChainSite, port: int, *, directory: str | None = None, workers: int = 1, store_url: str = "",
    more: str = "",
) -> Path:  # fmt: skip
    """Everything a cloud reads, in one folder; the path of its cloud.toml. `more`: tables that stand behind it."""
    write_deployment(folder / "deployment.json", site.deployment)
    public = ed25519.public_bytes(SUPER_KEY)
    write_trust(
        folder / "trust.json", trust_of(site.deployment, super_log_origin=SUPER_ORIGIN, super_log_public=public)
    )
    for name, text in (
        ("relayer.key", secret_of("relayer")),
        ("operator.key", secret_of("operator")),
        ("superlog.pem", ed25519.dump_pem(SUPER_KEY).decode()),
    ):
        write_secret(folder / name, text)
    if directory is not None:
        (folder / "directory.json").write_text(directory)
    chain = f'rpc = ["{site.url}"]\nchain_id = 31337\ndeployment_file = "deployment.json"\n'
    (folder / "cloud.toml").write_text(
        f'[cloud]\nlisten = "127.0.0.1:{port}"\npublic_url = "http://localhost:{port}"\ndata_dir = "data"\n'
        f'trust_file = "trust.json"\n'
        + ('directory_file = "directory.json"\n' if directory is not None else "")
        + (f"workers = {workers}\n" if workers > 1 else "")
        + (f'[store]\nurl = "{store_url}"\n' if store_url else "")
        + f'[chain]\n{chain}relayer_key_file = "relayer.key"\nfinality_depth = 2\npoll_seconds = 0.1\n'
        + f'[super_log]\norigin = "{SUPER_ORIGIN}"\nkey_file = "superlog.pem"\nanchor_seconds = 0.3\n'
        + f"[mail]\nblock_seconds = 0.5\n{more}"
    )
    (folder / "operator.toml").write_text(
        f'[cloud]\nurl = "http://127.0.0.1:{port}"\n[chain]\n{chain}operator_key_file = "operator.key"\n'
    )
    return folder / "cloud.toml"


@contextmanager
def serving(
    folder: Path, site: ChainSite, *, directory: str | None = None, workers: int = 1, store_url: str = "",
    more: str = "",
) -> Iterator[ServedCloud]:  # fmt: skip
    """A cloud that serves until the block ends."""
    port = free_port()
    config = write_settings(folder, site, port, directory=directory, workers=workers, store_url=store_url, more=more)
    command = [minglou(), "cloud", "serve", "--config", config]
    with running(command, name="cloud", output_dir=folder, ready=lambda: is_listening(port), seconds=40) as program:
        yield ServedCloud(program, port, folder)


def minglou() -> Path:
    from tests.processes import program

    return program("minglou")
