"""Tables for other programs: exact, checkable row by row, harmless in a spreadsheet, and nobody's but the asker's."""

import asyncio
import csv
import hashlib
import io
import json
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow
import pytest
from openpyxl import load_workbook
from pyarrow import parquet
from sqlalchemy import Engine, event, select
from starlette.requests import ClientDisconnect

from cloud.chain.view import ChainView
from cloud.command import run as run_command
from cloud.directory import parse_directory
from cloud.exports.export import export
from cloud.exports.formats import FORMATS, open_writer
from cloud.exports.portion import Asked, Source
from cloud.exports.records import RECORDS
from cloud.exports.routes import AT_ONCE_MAX
from cloud.exports.scope import EVERYTHING, Scope, scope_of
from cloud.exports.sheet import Sheet, day, instant, integer, text
from cloud.identity.audit import EVERY_UNIT, Act
from cloud.identity.tokens import Scope as TokenScope
from cloud.store import Store, tables
from cloud.web.answers import Person, Role, Title
from contracts.entry import Entry, Kind, device_id, encode_entry
from contracts.quantities import boundary_quantity
from contracts.tree import leaf_hash
from tests.cloud.conftest import Bench, open_bench
from tests.cloud.gateway import START_MS, SimulatedGateway
from tests.cloud.test_operations import open_site
from tests.cloud.test_visits import NOW_S, open_desk
from tests.visits import ALIASES, MANAGER, MECHANIC, signed, visit_of

Run = Callable[[Any], Any]
OWN, NEIGHBOUR, COMMON, TRAP = (
    "urn:minglou:cuiyuan:b07:meter:0101-abc",
    "urn:minglou:cuiyuan:b07:meter:0102-def",
    "urn:minglou:cuiyuan:b07:meter:common",
    '=HYPERLINK("https://evil.example","pay here")',
)
MIDNIGHT = date(2026, 11, 1)
CHEQUERED = Sheet(
    name="chequered",
    says="every kind of column",
    columns=(
        text("says", "words"),
        integer("energy_wh", "a register"),
        instant("at_utc", "when"),
        day("on_date", "day"),
    ),
)
AT = datetime(2026, 11, 1, 16, 0, 0, 250_000, tzinfo=UTC)
AT_MS = int(AT.timestamp() * 1000)


def alias(unit: int) -> bytes:
    return hashlib.sha256(f"unit {unit}".encode()).digest()


def directory() -> dict[str, Any]:
    def device(urn: str, **counts_for: str) -> dict[str, Any]:
        return {"urn": urn, "kind": "meter", "origin": SimulatedGateway().origin, "counts_for": counts_for}

    return {
        "format": "minglou-directory/1",
        "site": {"name": "cuiyuan", "title": "翠苑", "timezone": "Asia/Shanghai"},
        "units": [
            {"index": at, "name": f"b07-010{at + 1}", "building": "b07", "floor": 1, "alias": alias(at).hex(),
             "area_centi_m2": 8930}
            for at in range(2)
        ],
        "devices": [
            device(OWN, unit=alias(0).hex()),
            device(NEIGHBOUR, unit=alias(1).hex()),
            device(COMMON, pool=alias(9).hex()),
            device(TRAP),
        ],
    }  # fmt: skip


def owner(door: str = "b07-0101") -> Person:
    return Person(key="owner", role=Role.OWNER, title=Title(zh="业主", en="Owner"), units=(door,))


def source(bench: Bench) -> Source:
    async def view() -> ChainView:
        return ChainView(31337)

    return Source(store=bench.store, directory=parse_directory(directory()), view=view, deployment=None)


async def whole(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


@asynccontextmanager
async def filled(store_url: str) -> AsyncIterator[tuple[Bench, SimulatedGateway]]:
    """A store with readings of four meters, one of them named to harm a spreadsheet, and a register of 2^62."""
    gateway = SimulatedGateway()
    for urn in (OWN, NEIGHBOUR, COMMON, TRAP):
        gateway.log_readings(3, urn=urn)
        gateway.log(Kind.READING, urn, boundary_quantity("1-0:1.8.0", MIDNIGHT), 2**62 + 1, detail={"source": "freeze"})
    async with open_bench(store_url) as bench:
        bench.keys.enrol(gateway)
        await bench.send(gateway)
        yield bench, gateway


async def exported(bench: Bench, what: str, form: str = "csv", scope: Scope = EVERYTHING, **asked: Any) -> bytes:
    return await whole(export(RECORDS[what], form, source=source(bench), scope=scope, asked=Asked(**asked)))


def rows_of(made: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(made.decode(), newline="")))


def test_every_exported_reading_can_be_hashed_into_its_log(run: Run, store_url: str) -> None:
    async def scenario() -> None:
        async with filled(store_url) as (bench, gateway):
            rows = rows_of(await exported(bench, "readings"))
            assert len(rows) == 16
            for row in rows:
                at_ms = int(datetime.fromisoformat(row["observed_at_utc"]).timestamp() * 1000)
                detail = row["detail_json"].encode()
                entry = Entry(
                    kind=Kind.READING,
                    device=bytes.fromhex(row["device_sha256"]),
                    observed_at_ms=at_ms,
                    quantity=row["quantity"],
                    value=int(row["value"]),
                    detail_digest=hashlib.sha256(detail).digest(),
                    salt=bytes.fromhex(row["salt_hex"]),
                )
                assert encode_entry(entry) == gateway.entries[int(row["entry_index"])]
                assert leaf_hash(encode_entry(entry)).hex() == row["leaf_sha256"]
                assert row["origin"] == gateway.origin and row["value_unit"] == "Wh"

    run(scenario())


def test_parquet_and_sheet_say_the_same_as_csv_to_the_last_digit(run: Run, store_url: str) -> None:
    async def scenario() -> None:
        async with filled(store_url) as (bench, _):
            plain = rows_of(await exported(bench, "readings"))
            table = parquet.read_table(io.BytesIO(await exported(bench, "readings", "parquet")))
            assert table.schema.field("observed_at_utc").type == pyarrow.timestamp("ms", tz="UTC")
            assert table.column("value").to_pylist() == [int(row["value"]) for row in plain]
            assert max(table.column("value").to_pylist()) == 2**62 + 1
            page = load_workbook(io.BytesIO(await exported(bench, "readings", "xlsx")), read_only=True).active
            assert page is not None
            heading, *cells = page.iter_rows(values_only=True)
            assert list(heading) == list(plain[0])
            value = heading.index("value")
            assert [int(str(row[value])) for row in cells] == [int(row["value"]) for row in plain]

    run(scenario())


def test_no_cell_becomes_a_formula(run: Run, store_url: str) -> None:
    async def scenario() -> None:
        async with filled(store_url) as (bench, _):
            named = [row["device_urn"] for row in rows_of(await exported(bench, "readings"))]
            assert "'" + TRAP in named and not [name for name in named if name.startswith("=")]
            book = load_workbook(io.BytesIO(await exported(bench, "readings", "xlsx")))
            page = book.active
            assert page is not None
            cells = [cell for row in page.iter_rows() for cell in row]
            assert [cell.value for cell in cells if cell.value == TRAP]
            assert not [cell for cell in cells if cell.data_type == "f" or cell.hyperlink]
            table = parquet.read_table(io.BytesIO(await exported(bench, "readings", "parquet")))
            assert TRAP in table.column("device_urn").to_pylist(), "no spreadsheet reads Parquet: nothing is changed"

    run(scenario())


@pytest.mark.parametrize("says", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", '="a,b"\r\n=2'])
def test_csv_gives_every_text_back_once_one_apostrophe_is_taken_away(says: str) -> None:
    writer = open_writer("csv", CHEQUERED)
    made = b"".join([*writer.write([(says, -5, AT_MS, MIDNIGHT)]), *writer.finish()])
    row = rows_of(made)[0]
    assert row["says"] == "'" + says
    assert (row["energy_wh"], row["at_utc"], row["on_date"]) == ("-5", "2026-11-01T16:00:00.250Z", "2026-11-01")


def test_a_sheet_rounds_no_integer_and_knows_instants() -> None:
    writer = open_writer("xlsx", CHEQUERED)
    list(writer.write([("", 2**63 - 1, AT_MS, MIDNIGHT), ("a", 10**15 - 1, None, None), ("b", -(10**14), None, None)]))
    page = load_workbook(io.BytesIO(b"".join(writer.finish()))).active
    writer.close()
    assert page is not None
    _, first, second, third = page.iter_rows(values_only=True)
    assert (first[1], second[1], third[1]) == (str(2**63 - 1), 10**15 - 1, -(10**14))
    assert isinstance(first[2], datetime) and abs(first[2].replace(tzinfo=UTC) - AT) < timedelta(milliseconds=1)


def test_instants_and_boundaries_choose_rows(run: Run, store_url: str) -> None:
    async def scenario() -> None:
        async with filled(store_url) as (bench, gateway):
            boundaries = rows_of(await exported(bench, "readings", boundaries_only=True))
            assert [row["boundary_date"] for row in boundaries] == ["2026-11-01"] * 4
            later = rows_of(await exported(bench, "readings", from_ms=START_MS + 5000, to_ms=START_MS + 9000))
            assert [int(row["entry_index"]) for row in later] == [5, 6, 7, 8]
            assert gateway.size == 17

    run(scenario())


def test_portions_join_without_a_row_lost_or_doubled(run: Run, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.exports.records.PORTION", 3)

    async def scenario() -> None:
        async with filled(store_url) as (bench, _):
            rows = rows_of(await exported(bench, "readings"))
            assert [int(row["entry_index"]) for row in rows] == list(range(1, 17))
            table = parquet.ParquetFile(io.BytesIO(await exported(bench, "readings", "parquet")))
            assert table.num_row_groups == 6 and table.metadata.num_rows == 16

    run(scenario())


@pytest.mark.parametrize(
    ("viewer", "urns", "sees_site"),
    [
        (None, set(), False),
        (owner(), {OWN, COMMON}, False),
        (owner("b07-0102"), {NEIGHBOUR, COMMON}, False),
        (replace(owner(), role=Role.MANAGER, units=()), {COMMON}, True),
        (replace(owner(), role=Role.COMMITTEE, units=()), {COMMON}, True),
        (replace(owner(), role=Role.CREW, units=()), set(), False),
    ],
)
def test_everybody_exports_what_their_pages_show_and_nothing_else(
    run: Run, store_url: str, viewer: Person | None, urns: set[str], sees_site: bool
) -> None:
    async def scenario() -> None:
        async with filled(store_url) as (bench, _):
            scope = scope_of(viewer, parse_directory(directory()))
            assert RECORDS["readings"].is_for(scope) == bool(urns)
            rows = rows_of(await exported(bench, "readings", scope=scope))
            assert {row["device_sha256"] for row in rows} == {device_id(urn).hex() for urn in urns}
            assert RECORDS["anomalies"].is_for(scope) == sees_site
            assert RECORDS["bills"].is_for(scope) == (viewer is not None and viewer.role is Role.OWNER)

    run(scenario())


def test_oddities_and_forks_are_told_with_their_signed_checkpoints(run: Run, store_url: str) -> None:
    async def scenario() -> None:
        async with filled(store_url) as (bench, gateway):
            await bench.send(gateway)
            twin = gateway.twin(gateway.size - 1, 5)
            with pytest.raises(Exception, match="fork"):
                await bench.send(twin)
            rows = {row["kind"]: row for row in rows_of(await exported(bench, "anomalies"))}
            assert set(rows) == {"replay", "fork_same_size"}
            assert gateway.origin in rows["fork_same_size"]["says"]
            assert gateway.origin in rows["fork_same_size"]["other_checkpoint"]

    run(scenario())


def test_a_visit_is_exported_with_its_judgement_and_names_nobody(run: Run, tmp_path: Path, store_url: str) -> None:
    visit = signed(visit_of(NOW_S - 7200, manager=MANAGER), MECHANIC, MANAGER)

    async def scenario() -> None:
        async with open_desk(tmp_path, store_url) as desk:
            await desk.send()
            assert (await desk.post(visit))[0] == 200
            waiting = rows_of(await exported(desk.bench, "visits"))
            assert [row["corroboration_level"] for row in waiting] == [""]
            desk.judge(visit, 3)
            await desk.send()
            (row,) = rows_of(await exported(desk.bench, "visits"))
            assert row["digest_sha256"] == visit.visit.digest().hex()
            judged = (row["corroboration_level"], row["origin"], row["entry_index"], row["people_count"])
            assert judged == ("3", desk.gateway.origin, "1", "2")
            assert not [cell for cell in row.values() if cell in {alias.hex() for alias in ALIASES.values()}]

    run(scenario())


def test_strangers_are_refused_and_the_token_opens(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_site(tmp_path) as (cloud, client):
            now_ms = cloud.settings.clock.now_ms()
            token, _ = await cloud.tokens.make(None, "exports", [TokenScope.EXPORTS], days=1, now_ms=now_ms)
            refused = await client.get("/v1/exports/readings.csv")
            assert (refused.status_code, refused.json()["error"]) == (403, "not_public")
            public = await client.get("/v1/exports/anchors.csv")
            assert public.status_code == 200 and public.text.startswith("super_log_size,root_sha256,")
            for what in RECORDS:
                for form, media in FORMATS.items():
                    headers = {"Authorization": f"Bearer {token}"}
                    answer = await client.get(f"/v1/exports/{what}.{form}", headers=headers)
                    assert (answer.status_code, answer.headers["content-type"]) == (200, media)
                    assert answer.headers["content-disposition"] == f'attachment; filename="minglou-{what}.{form}"'
            assert (await client.get("/v1/exports/secrets.csv")).status_code == 422

    run(scenario())


def test_an_asker_who_goes_away_leaves_the_place_to_the_next(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_site(tmp_path) as (_, client):
            for _ in range(5):
                async with client.stream("GET", "/v1/exports/anchors.csv") as answer:
                    assert answer.status_code == 200
            answers: list[httpx.Response] = await asyncio.gather(
                *(client.get("/v1/exports/anchors.csv") for _ in range(8))
            )
            assert {answer.status_code for answer in answers} <= {200, 503}
            assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 503)
            assert (await client.get("/v1/exports/anchors.csv")).status_code == 200

    run(scenario())


def test_a_download_that_is_gone_before_its_first_byte_gives_its_place_back(run: Run, tmp_path: Path) -> None:
    """What a server does whose peer has hung up: sending raises, and nobody ever asks for the first piece."""

    async def scenario() -> None:
        async with open_site(tmp_path) as (_, client):
            app = client._transport.app  # type: ignore[attr-defined]

            async def receive() -> dict[str, str]:
                return {"type": "http.disconnect"}

            async def send(_message: Any) -> None:
                raise OSError("the peer is gone")

            scope = {
                "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1",
                "method": "GET", "scheme": "https", "path": "/v1/exports/anchors.csv", "query_string": b"",
                "raw_path": b"/v1/exports/anchors.csv", "root_path": "", "headers": [(b"host", b"cuiyuan.example")],
                "client": ("127.0.0.1", 1), "server": ("cuiyuan.example", 443),
            }  # fmt: skip
            for _ in range(AT_ONCE_MAX + 1):
                with suppress(ClientDisconnect, OSError):
                    await app(dict(scope), receive, send)
            assert (await client.get("/v1/exports/anchors.csv")).status_code == 200

    run(scenario())


def test_what_a_program_exports_is_told_with_its_tokens_name(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_site(tmp_path) as (cloud, client):
            now_ms = cloud.settings.clock.now_ms()
            token, _ = await cloud.tokens.make(None, "year end figures", [TokenScope.EXPORTS], days=1, now_ms=now_ms)
            headers = {"Authorization": f"Bearer {token}"}
            assert (await client.get("/v1/exports/readings.csv", headers=headers)).status_code == 200
            told = await cloud.identity.audit.of_unit(EVERY_UNIT)
            assert [(one.act, one.role, one.what) for one in told if one.act is Act.EXPORTED] == [
                (Act.EXPORTED, "operator", "year end figures: readings.csv")
            ]

    run(scenario())


class Watched:
    """A store that knows how many read transactions are open."""

    def __init__(self, store: Store) -> None:
        self._store, self.open = store, 0

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Any]:
        self.open += 1
        try:
            async with self._store.read() as connection:
                yield connection
        finally:
            self.open -= 1


def test_visits_are_read_portion_by_portion_with_a_few_queries_and_nothing_open_between(
    run: Run, tmp_path: Path, store_url: str
) -> None:
    visits = [signed(visit_of(NOW_S - 7200 - 900 * at, manager=MANAGER), MECHANIC, MANAGER) for at in range(4)]

    async def scenario() -> None:
        async with open_desk(tmp_path, store_url) as desk:
            await desk.send()
            for visit in visits:
                assert (await desk.post(visit))[0] == 200
            desk.judge(visits[1], 2)
            desk.judge(visits[2], 3)
            await desk.send()
            asked: list[str] = []
            note = lambda *told: asked.append(told[2])  # noqa: E731 - the same object is taken off again
            event.listen(Engine, "before_cursor_execute", note)
            watched = Watched(desk.bench.store)
            rows: list[Any] = []
            try:
                from_store: Any = replace(source(desk.bench), store=watched)  # type: ignore[arg-type]
                async for some in RECORDS["visits"].portions(from_store, EVERYTHING, Asked()):
                    assert watched.open == 0, "a slow reader keeps no transaction open"
                    rows += some
            finally:
                event.remove(Engine, "before_cursor_execute", note)
            assert [row[8] for row in rows] == [None, 3, 2, None], "oldest first"
            told = [one for one in asked if "FROM entries" in one]
            assert 1 <= len(told) <= 2, told

    run(scenario())


def test_the_command_writes_a_private_file_beside_a_serving_cloud(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "directory.json").write_text(json.dumps(directory()))
    gateway = SimulatedGateway()
    gateway.log_readings(4, urn=OWN)

    async def scenario() -> None:
        async with open_bench(tmp_path / "cloud.sqlite3") as bench:
            bench.keys.enrol(gateway)
            await bench.send(gateway)

    run(scenario())
    (tmp_path / "cloud.toml").write_text(
        '[cloud]\nlisten = "127.0.0.1:1"\npublic_url = "https://cuiyuan.example"\ndata_dir = "."\n'
        'directory_file = "directory.json"\n[super_log]\norigin = "cuiyuan.example/log"\n'
    )
    out = tmp_path / "readings.parquet"
    assert run_command(_arguments("readings", tmp_path / "cloud.toml", out)) == 0
    assert "readings.parquet: " in capsys.readouterr().out
    assert out.stat().st_mode & 0o777 == 0o600
    assert parquet.read_table(out).column("device_urn").to_pylist() == [OWN] * 4
    assert told_by(tmp_path / "cloud.sqlite3", run) == [("readings.parquet by the command line", "")]
    assert run_command(_arguments("readings", tmp_path / "cloud.toml", tmp_path / "readings.pdf")) == 2
    assert ".csv, .xlsx, .parquet" in capsys.readouterr().err


def told_by(database: Path, run: Run) -> list[tuple[str, str]]:
    """What the audit log of a database tells of exports."""

    async def scenario() -> list[tuple[str, str]]:
        store = Store(f"sqlite+aiosqlite:///{database}")
        try:
            async with store.read() as connection:
                column = tables.audit_entries.c
                query = select(column.body).where(column.act == Act.EXPORTED.value, column.unit == EVERY_UNIT)
                bodies = [json.loads(row.body) for row in await connection.execute(query)]
        finally:
            await store.close()
        return [(body["what"], body["role"]) for body in bodies]

    told: list[tuple[str, str]] = run(scenario())
    return told


def _arguments(what: str, config: Path, out: Path) -> Any:
    import argparse

    from cloud.command import add_arguments

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(["export", what, "--config", str(config), "--out", str(out)])


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_memory_does_not_grow_with_the_rows(form: str) -> None:
    portion = [("register", number, AT_MS + number, MIDNIGHT) for number in range(250)]

    def peak_bytes(portions: int) -> int:
        tracemalloc.start()
        writer = open_writer(form, CHEQUERED)
        held = 0
        for _ in range(portions):
            for _piece in writer.write(portion):
                pass
            held = max(held, pyarrow.total_allocated_bytes())
        for _piece in writer.finish():
            pass
        writer.close()
        peak = tracemalloc.get_traced_memory()[1] + held
        tracemalloc.stop()
        return peak

    peak_bytes(1)  # what is imported and cached the first time
    assert peak_bytes(24) < 1.3 * peak_bytes(6) + 100_000
