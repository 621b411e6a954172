"""A cloud asked by a program that believes nothing it is told: whatever this client returns, it has verified.

    from minglou.client import Client, read_trust

    with Client("https://cuiyuan.example", trust=read_trust("trust.json"), rpc="http://127.0.0.1:8545") as site:
        entry = site.entry("cuiyuan.example/cuiyuan/b07/e0", 7)
        print(entry.value, entry.unit, entry.report.state)

Trust comes from the notice board's address, never from the cloud that is asked; the chain node should be of one's own
choice. Needs `pip install minglou[client]`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from zoneinfo import ZoneInfo

import httpx

from contracts.bill import Amounts, Line, LineKind
from contracts.bill import share as pool_share
from contracts.bill_file import bill_from_json
from contracts.bill_verifier import verify_bill_file
from contracts.checkpoint import Checkpoint
from contracts.errors import ContractsError
from contracts.evidence import EVIDENCE_BYTES_MAX, parse_evidence
from contracts.interval_line import LineEntry, usage_by_price
from contracts.key_table import decode_table, key_before, key_proof_from_json
from contracts.onchain import ChainView
from contracts.quantities import unit_of
from contracts.report import Check, Outcome, Report, State
from contracts.superlog import open_superlog, verify_cosignatures
from contracts.tariff import Terms, decode_terms
from contracts.tiles import Tile, TileNodes, tile_path
from contracts.tree import consistency_path, verify_consistency
from contracts.trust import Trust, parse_trust
from contracts.verifier import verify_evidence
from minglou.rpc import HttpRpc

__all__ = [
    "Client",
    "ClientError",
    "NotProven",
    "Refused",
    "SuperLogHead",
    "VerifiedBill",
    "VerifiedEntry",
    "VerifiedShare",
    "VerifiedTimeOfUse",
    "read_trust",
]

_TIMEOUT_SECONDS = 30.0
_NOTE_BYTES_MAX = 16_384
_TILE_BYTES_MAX = 65_536
_BILL_BYTES_MAX = 65_536
_DERIVATIONS_BYTES_MAX = 2**22
_ENTRIES_MAX = 2_000
_FILE_BYTES_MAX = 2**40
_STATES = tuple(State)


class ClientError(Exception):
    """Base of what this client raises."""


class Refused(ClientError):
    """The cloud refuses, or cannot be reached.

    `code` is its stable word (`not_public`, `unknown_entry`, `busy`), or `unreachable`; the message says what to do.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NotProven(ClientError):
    """The cloud answered, and what it says is not proven. `checks` are those that failed, where there are any."""

    def __init__(self, message: str, checks: tuple[Check, ...] = ()) -> None:
        super().__init__(message)
        self.checks = checks


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedEntry:
    """One log entry whose evidence holds."""

    origin: str
    index: int
    kind: int
    device: bytes  # SHA-256 of its URN
    quantity: str
    value: int  # in `unit`
    unit: str  # Wh, mL, L; empty for a plain number
    observed_at_ms: int
    report: Report
    file: bytes  # the evidence itself, to keep


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedBill:
    """One bill that leads to the root on chain."""

    period: int
    unit_index: int
    amounts: Amounts  # fen
    lines: tuple[Line, ...]
    checks: tuple[Check, ...]
    file: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedShare:
    """Where a unit stands in the table of volumes that shares a pool, as the chain has that table."""

    pool: bytes
    key: int  # what the unit's own meter counted, in base units
    key_before: int  # all units before it
    key_sum: int  # all units together
    amount: int  # fen, as the bill's line says
    pool_amount: int | None  # fen of the whole pool; None where tiers or several registers take the readings to tell


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedTimeOfUse:
    """What one line by readings between boundaries rests on."""

    used: Mapping[str, int]  # base units by register of the tariff
    amount: int  # fen
    zone: str  # by whose clocks prices change
    entries: int  # that were verified
    bridged: int  # changes of price without a reading, told by time between two


@dataclass(frozen=True, slots=True, kw_only=True)
class SuperLogHead:
    """A head of the super-log: signed by the key that is trusted, cosigned by enough witnesses."""

    checkpoint: Checkpoint
    witnesses: tuple[str, ...]  # who cosigned it
    note: str


def read_trust(path: str | Path) -> Trust:
    """The roots in a trust file. Raises `OSError`, `contracts.errors.TrustError`."""
    return parse_trust(Path(path).read_bytes())


class Client:
    """One cloud.

    Args:
        url: its address.
        trust: what to believe.
        rpc: a chain node's address; without one, nothing that only the chain knows is believed, and only what the
            gateway and the super-log signed can be asked for.
        token: an API token, for what is not public.
        transport: how requests are sent, for tests.
    """

    def __init__(
        self,
        url: str,
        *,
        trust: Trust,
        rpc: str | None = None,
        token: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=_TIMEOUT_SECONDS, trust_env=False, transport=transport
        )
        self._trust = trust
        self._rpc = HttpRpc(rpc) if rpc is not None else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def entry(self, origin: str, index: int, *, at_least: State | None = None) -> VerifiedEntry:
        """One entry of a gateway's log.

        Args:
            at_least: how far its proof must reach; by default *anchored* where a chain node is asked, else *logged*.

        Raises:
            NotProven: a check failed, the evidence is another entry's, or it does not reach so far.
            Refused: the cloud does not give it.
        """
        file = self._get(f"/v1/evidence/{origin}/{index}", bytes_max=EVIDENCE_BYTES_MAX)
        report = verify_evidence(file, self._trust, self._rpc)
        _refuse_failed(f"entry {index} of {origin}", report.checks)
        evidence = parse_evidence(file)
        if evidence.log is None or (evidence.log.origin, evidence.log.index) != (origin, index):
            raise NotProven(f"the cloud answered entry {index} of {origin} with another one's evidence; keep it")
        wanted = at_least or (State.ANCHORED if self._rpc is not None else State.LOGGED)
        if report.state is None or _STATES.index(report.state) < _STATES.index(wanted):
            raise NotProven(f"entry {index} of {origin} is {report.state}, not {wanted} yet; ask again later")
        kind, device, observed_at_ms, quantity, value, _, _ = evidence.row
        return VerifiedEntry(
            origin=origin,
            index=index,
            kind=kind,
            device=device,
            quantity=quantity,
            value=value,
            unit=unit_of(quantity) or "",
            observed_at_ms=observed_at_ms,
            report=report,
            file=file,
        )

    def bill(self, period: int, unit_index: int) -> VerifiedBill:
        """One unit's posted bill; its root and its prices are asked of the chain.

        Raises:
            NotProven: a check failed, it is another unit's, or without a chain node nothing vouches for it.
            Refused: the cloud does not give it.
        """
        what = f"the bill of unit {unit_index} for {period}"
        file = self._get(f"/v1/bills/{period}/units/{unit_index}", bytes_max=_BILL_BYTES_MAX)
        checks = verify_bill_file(file, self._trust, self._rpc)
        _refuse_failed(what, checks)
        open_ones = [check for check in checks if check.outcome is not Outcome.PASSED]
        if open_ones:
            raise NotProven(f"{what}: {open_ones[0].name} was not checked: {open_ones[0].says}", tuple(open_ones))
        bill = bill_from_json(json.loads(file)).bill
        if (bill.period, bill.unit_index) != (period, unit_index):
            raise NotProven(f"the cloud answered {what} with another one; keep it")
        return VerifiedBill(
            period=period, unit_index=unit_index, amounts=bill.amounts, lines=bill.lines, checks=checks, file=file
        )

    def time_of_use(self, bill: VerifiedBill, number: int) -> VerifiedTimeOfUse:
        """What a line by readings between boundaries rests on: each entry that the cloud names is verified, usage and
        amount are computed again from them.

        Raises:
            NotProven: an entry is not proven, or the entries do not give what the line charges.
            Refused: the cloud does not give it, or the line is none by readings.
        """
        line, what = bill.lines[number], f"line {number} of unit {bill.unit_index}"
        if line.kind is not LineKind.INTERVAL:
            raise Refused("unknown_line", f"{what} is {line.kind.name.lower()}, not by readings between boundaries")
        if self._rpc is None:
            raise NotProven(f"{what}: only the chain knows whose meters they are; name a node")
        chain = ChainView(self._rpc, self._trust)
        address = f"/v1/bills/{bill.period}/units/{bill.unit_index}/derivations"
        answer = self._get(address, bytes_max=_DERIVATIONS_BYTES_MAX)
        try:
            derivation = json.loads(answer)["lines"][number]["derivation"]
            named, zone = _entries_named(derivation), ZoneInfo(derivation["intervals"][0]["zone"])
            _refuse_other_clocks(zone, line, chain.utc_offset_seconds())
            unit = chain.unit_at(bill.unit_index)
            entries = [self._line_entry(origin, index, unit, line) for origin, index in named]
            terms = _terms_of(bill, line)
            counted = usage_by_price(line, terms, entries, zone)
            season = terms.season(line.from_date, line.to_date)
            residents = chain.residents(unit, line.from_date) if season.extra else 0
            amount = season.charge(used=counted.used, prior=counted.prior, residents=residents)
        except (ContractsError, ValueError, TypeError, KeyError, IndexError) as error:
            raise NotProven(f"{what}: {error}; keep the answer and tell the committee") from error
        if (sum(counted.used), amount) != (line.usage, line.amount):
            raise NotProven(f"{what}: its entries give {amount} fen, the line charges {line.amount}; dispute it")
        return VerifiedTimeOfUse(
            used=dict(zip(terms.registers, counted.used, strict=True)),
            amount=amount,
            zone=str(zone),
            entries=len(entries),
            bridged=counted.bridged,
        )

    def _line_entry(self, origin: str, index: int, unit: bytes, line: Line) -> LineEntry:
        """A verified entry of a meter that counts for the unit."""
        found = self.entry(origin, index)
        assignment = parse_evidence(found.file).assignment
        binding = assignment.binding if assignment is not None else None
        if binding is None or (binding.unit, binding.role) != (unit, "own"):
            raise NotProven(f"entry {index} of {origin} is of a meter that does not count for the unit")
        return LineEntry(
            device=found.device,
            quantity=found.quantity,
            value=found.value,
            observed_at_ms=found.observed_at_ms,
            bound_from=int(f"{binding.from_date:%Y%m%d}"),
            bound_to=int(f"{binding.to_date:%Y%m%d}") if binding.to_date else 0,
        )

    def share(self, bill: VerifiedBill, number: int) -> VerifiedShare:
        """The unit's part of a pool that is shared by volume, for one line of its verified bill.

        Raises:
            NotProven: the key does not stand in the table that was posted, or the share is not the line's amount.
            Refused: the cloud does not give it, or the line is none of a pool shared by volume.
        """
        line, what = bill.lines[number], f"the share of line {number} of unit {bill.unit_index}"
        if self._rpc is None:
            raise NotProven(f"{what}: only the chain knows the table; name a node")
        address = f"/v1/bills/{bill.period}/units/{bill.unit_index}/keys"
        answer = self._get(address, bytes_max=_BILL_BYTES_MAX)
        try:
            found = [one for one in json.loads(answer)["keys"] if one["pool"] == line.subject.hex()]
            if line.kind is not LineKind.SHARED or not found:
                raise Refused("unknown_key", f"{what}: the cloud holds no key of it; is its pool shared by volume?")
            proof = key_proof_from_json(found[0])
            table = decode_table(proof.table)
            if sha256(proof.table).digest() != ChainView(self._rpc, self._trust).volumes_digest(
                line.subject, bill.period
            ):
                raise NotProven(f"{what}: the table is not the one on chain; keep the answer and tell the committee")
            before = key_before(proof, bill.unit_index, table)
        except (ContractsError, ValueError, TypeError, KeyError) as error:
            raise NotProven(f"{what}: {error}; keep the answer and tell the committee") from error
        whole = _pool_amount(bill, line)
        if whole is not None and pool_share(whole, before, proof.key, table.root.sums) != line.amount:
            raise NotProven(f"{what}: {line.amount} fen are not its part of {whole} fen; dispute the line")
        return VerifiedShare(
            pool=line.subject,
            key=proof.key,
            key_before=before,
            key_sum=table.root.sums,
            amount=line.amount,
            pool_amount=whole,
        )

    def head(self) -> SuperLogHead:
        """The super-log's newest head.

        Raises:
            NotProven: the trusted key did not sign it, or too few of the trusted witnesses have cosigned it.
            Refused: there is none yet.
        """
        note = self._get("/log/checkpoint", bytes_max=_NOTE_BYTES_MAX).decode(errors="replace")
        try:
            checkpoint = open_superlog(note, self._trust.super_log_origin, self._trust.super_log_public)
            witnesses = tuple(one.witness.name for one in verify_cosignatures(note, self._trust.witness_policy))
        except ContractsError as error:
            raise NotProven(f"the super-log's head: {error}; keep it and tell the committee") from error
        if len(witnesses) < self._trust.witness_policy.quorum:
            quorum = self._trust.witness_policy.quorum
            raise NotProven(f"{len(witnesses)} of the {quorum} witnesses needed cosigned the head; ask again later")
        return SuperLogHead(checkpoint=checkpoint, witnesses=witnesses, note=note)

    def grown_from(self, seen: Checkpoint) -> SuperLogHead:
        """The newest head, proven to continue one that was seen before: nothing was taken out or put in between.

        Raises:
            NotProven: history was rewritten or cut off; keep both notes and tell the committee.
            Refused: the cloud does not answer.
        """
        head = self.head()
        new = head.checkpoint
        nodes = TileNodes(new.size, self._tile)
        try:
            path = consistency_path(nodes, seen.size, new.size)
            verify_consistency(seen.size, seen.root, new.size, new.root, path)
        except ContractsError as error:
            raise NotProven(f"the super-log of {new.size} does not continue that of {seen.size}: {error}") from error
        return head

    def export(self, what: str, form: str, **query: str) -> Iterator[bytes]:
        """A table's file, piece by piece, as docs/cloud.md ("Exports") has it. *Not verified*: its rows say by which
        entry or transaction each can be. Raises `Refused`.
        """
        return self._pieces(f"/v1/exports/{what}.{form}", query, bytes_max=_FILE_BYTES_MAX)

    def _tile(self, tile: Tile) -> bytes:
        return self._get(f"/log/{tile_path(tile)}", bytes_max=_TILE_BYTES_MAX)

    def _get(self, path: str, *, bytes_max: int) -> bytes:
        return b"".join(self._pieces(path, {}, bytes_max=bytes_max))

    def _pieces(self, path: str, query: dict[str, str], *, bytes_max: int) -> Iterator[bytes]:
        length = 0
        try:
            with self._http.stream("GET", path, params=query) as answer:
                if not answer.is_success:
                    raise _refusal(answer)
                for piece in answer.iter_bytes():
                    length += len(piece)
                    if length > bytes_max:
                        raise Refused("too_large", f"{path} answers with over {bytes_max} bytes; nothing was believed")
                    yield piece
        except httpx.HTTPError as error:
            raise Refused("unreachable", f"{path}: {str(error) or type(error).__name__}; try again") from error


def _pool_amount(bill: VerifiedBill, line: Line) -> int | None:
    """What a whole pool costs, where the line's own usage tells it: one register, and no tiers from before."""
    encoded = dict(bill_from_json(json.loads(bill.file)).terms)[line.tariff]
    terms = decode_terms(encoded)
    if len(terms.registers) != 1 or line.since != line.from_date:
        return None
    return terms.season(line.from_date, line.to_date).charge(used=[line.usage], prior=0)


def _refusal(answer: httpx.Response) -> Refused:
    try:
        fields: Any = json.loads(answer.read()[:_NOTE_BYTES_MAX])
        return Refused(str(fields["error"]), str(fields["message"]))
    except (ValueError, TypeError, KeyError):
        return Refused("refused", f"{answer.request.url.path} answers {answer.status_code}")


def _entries_named(derivation: Any) -> list[tuple[str, int]]:
    """Every entry that a derivation names, each once. Raises ValueError, TypeError, KeyError."""
    spans = [*derivation["spans"], *derivation.get("before", ())]
    entries = [span[end] for span in spans for end in ("opening", "closing")]
    entries += [
        one
        for interval in derivation["intervals"]
        for point in interval["points"]
        for one in point["inputs"]
        if "origin" in one
    ]
    named = sorted({(str(one["origin"]), int(one["index"])) for one in entries})
    if len(named) > _ENTRIES_MAX:
        raise ValueError(f"the cloud names {len(named)} entries; {_ENTRIES_MAX} is this program's limit")
    return named


def _refuse_other_clocks(zone: ZoneInfo, line: Line, held_seconds: int) -> None:
    """The chain says how far the site's clocks are from UTC when they are not put forward; the cloud names the zone."""
    year = line.from_date // 10_000
    offsets = [datetime(year, month, 1, tzinfo=zone).utcoffset() for month in (1, 7)]
    if min(offset.total_seconds() for offset in offsets if offset is not None) != held_seconds:
        raise ValueError(f"the clocks of {zone} are not those that the chain names")


def _terms_of(bill: VerifiedBill, line: Line) -> Terms:
    """The line's terms, which the bill's checks held against the chain."""
    terms = dict(bill_from_json(json.loads(bill.file)).terms)
    return decode_terms(terms[line.tariff])


def _refuse_failed(what: str, checks: tuple[Check, ...]) -> None:
    failed = tuple(check for check in checks if check.outcome is Outcome.FAILED)
    if failed:
        raise NotProven(f"{what}: {failed[0].name} failed: {failed[0].says}. {failed[0].remedy}", failed)
