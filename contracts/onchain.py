"""What a verifier asks the chain, and how it reads the answers.

Every argument and result is a row of 32-byte words, so that a verifier needs no ABI library; a test holds the selectors
against the compiled contracts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Any

from contracts.errors import RpcError
from contracts.evidence import KEY_CLASSES, Anchor, BindingRole, KeyClass
from contracts.tree import SIZE_END
from contracts.trust import Trust

Rpc = Callable[[str, list[Any]], Any]
"""Asks a chain node: method and parameters in, the result out. Raises `RpcError` when there is no answer."""

GATEWAY_KEY = "0b7466ab"  # gateway_key(origin_id, key_id) -> class, from_block, to_block
ASSIGNMENT_COUNT = "967dead2"  # assignment_count(device)
ASSIGNMENT = "c1e417b1"  # assignment(device, number) -> origin_id, first_index, last_index, block
CONTRACT_NAMED = "373cdfb4"  # contract_named(name) -> address of another contract of the site
BINDING_COUNT = "fcdfc859"  # Bindings.binding_count(device)
BINDING = "dea0a934"  # Bindings.binding(device, number) -> subject, commitment, role, from, to, confirmed, attested
PERIOD = "d4b08aee"  # UsageFees.period(period) -> root, sums, unit_count, closed_at, window_end, area, corrections
TARIFFS = "79073d58"  # UsageFees.tariffs() -> the contract of tariffs
TARIFF = "16b51928"  # Tariffs.tariff(version) -> digest, valid_from, valid_to, approved_at, needs a resolution
UTC_OFFSET_SECONDS = "8502f0b9"  # Tariffs.utc_offset_seconds() -> the site's clocks, an int256
UNIT_AT = "ca025796"  # Roll.unit_at(index) -> alias
RESIDENTS = "0e8c2dc3"  # Roll.residents(alias, date)
VOLUMES = "3c235312"  # Tariffs.volumes(pool, period) -> SHA-256 of the table that shares the pool
ANCHORED_TOPIC = "0x2946f6d79e30b36612401c9600819a1e622cf156a41e314844f4d582f06d242a"  # Anchored(size indexed, root)

BINDINGS = b"bindings".ljust(32, b"\0")  # the contract's name in the Registry's directory
ROLL = b"roll".ljust(32, b"\0")
CONFIRMED_BY_OWNER, CONFIRMED_BY_COMMITTEE, CONTESTED = 1, 2, 3
_ROLES: tuple[BindingRole, ...] = ("own", "pool")
_RECORDS_MAX = 256
_VETOED = 2**64 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredKey:
    """A gateway key as the Registry holds it."""

    key_class: KeyClass
    from_block: int
    to_block: int | None  # the last block of its validity; None while in force


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredAssignment:
    """One range of a log's indexes that the Registry gives to a device."""

    origin_id: bytes
    first_index: int
    last_index: int | None
    block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredBinding:
    """One unit or pool that Bindings lets a device count for."""

    subject: bytes
    role: BindingRole
    from_date: date
    to_date: date | None
    confirmed: bool  # by the owner's key or by the committee
    contested: bool  # changed without, or disputed by, the owner


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedPeriod:
    """A period's bills as UsageFees holds them."""

    root: bytes
    sums: int  # four lanes in one word
    unit_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncedTariff:
    """A version of the tariffs as the chain holds it."""

    digest: bytes  # SHA-256 of its terms; zeros where there is no such version
    valid_from: int  # boundary dates YYYYMMDD
    valid_to: int  # 0 while open
    is_approved: bool

    def is_in_force(self, from_date: int, to_date: int) -> bool:
        """Whether it holds over all these days."""
        is_open = self.valid_to == 0 or self.valid_to >= to_date
        return self.is_approved and self.valid_from <= from_date and is_open


def origin_id(origin: str) -> bytes:
    """The 32 bytes that stand for a log in the contracts: SHA-256 of its origin."""
    return sha256(origin.encode()).digest()


class ChainView:
    """The facts of one deployment's chain, read through a node of the verifier's own choice.

    Raises:
        RpcError: by every method, when the node does not answer, answers nonsense or serves another chain.
    """

    def __init__(self, rpc: Rpc, trust: Trust) -> None:
        self._rpc = rpc
        self._trust = trust
        self._is_chain_checked = False

    def anchored_at_s(self, anchor: Anchor) -> int | None:
        """The time of the block in which this transaction anchored this root; None if the chain knows no such fact."""
        block = self._ask("eth_getBlockByNumber", hex(anchor.block), False)
        if not isinstance(block, dict) or block.get("hash") != _hex(anchor.block_hash):
            return None
        logs = self._ask(
            "eth_getLogs",
            {"blockHash": _hex(anchor.block_hash), "address": _hex(anchor.contract), "topics": [ANCHORED_TOPIC]},
        )
        if not isinstance(logs, list):
            raise RpcError("the node answered eth_getLogs with something else than a list; try another node")
        if any(_is_anchored(log, anchor) for log in logs):
            return _quantity(block.get("timestamp"))
        return None

    def finalized_block(self) -> int:
        """The number of the newest block that can no longer go away."""
        block = self._ask("eth_getBlockByNumber", "finalized", False)
        if not isinstance(block, dict):
            raise RpcError("the node knows no finalized block; try another node")
        return _quantity(block.get("number"))

    def gateway_key(self, origin: str, public: bytes) -> RegisteredKey | None:
        """The Registry's record of this key for this log; None if it never was one."""
        key_class, from_block, to_block = self._words(GATEWAY_KEY, 3, origin_id(origin), sha256(public).digest())
        if from_block == 0:
            return None
        if not 1 <= key_class <= len(KEY_CLASSES):
            raise RpcError(f"the Registry names key class {key_class}, which this program does not know; update it")
        return RegisteredKey(key_class=KEY_CLASSES[key_class - 1], from_block=from_block, to_block=to_block or None)

    def assignments(self, device: bytes) -> list[RegisteredAssignment]:
        """Every range of any log that the Registry ever gave to this device."""
        return [
            RegisteredAssignment(
                origin_id=origin.to_bytes(32),
                first_index=first_index,
                last_index=None if last_index == SIZE_END - 1 else last_index,
                block=block,
            )
            for origin, first_index, last_index, block in self._records(ASSIGNMENT_COUNT, ASSIGNMENT, 4, device)
        ]

    def bindings(self, device: bytes) -> list[RegisteredBinding]:
        """Every unit or pool that the site's Bindings ever let this device count for."""
        return [
            RegisteredBinding(
                subject=subject.to_bytes(32),
                role=_ROLES[role - 1],
                from_date=_date(from_date),
                to_date=_date(to_date) if to_date else None,
                confirmed=confirmed in (CONFIRMED_BY_OWNER, CONFIRMED_BY_COMMITTEE),
                contested=confirmed == CONTESTED,
            )
            for subject, _, role, from_date, to_date, confirmed, _ in self._records(
                BINDING_COUNT, BINDING, 7, device, of=self._named(BINDINGS)
            )
            if 1 <= role <= len(_ROLES)
        ]

    def period(self, period: int) -> ClosedPeriod | None:
        """The root of a period's bills; None while the period is not closed."""
        root, sums, unit_count, closed_at, *_ = self._words(PERIOD, 7, period.to_bytes(32), to=self._trust.usage_fees)
        return ClosedPeriod(root=root.to_bytes(32), sums=sums, unit_count=unit_count) if closed_at else None

    def volumes_digest(self, pool: bytes, period: int) -> bytes | None:
        """SHA-256 of the table of volumes that shares a pool in a period; None before one was posted."""
        (address,) = self._words(TARIFFS, 1, to=self._trust.usage_fees)
        (digest,) = self._words(VOLUMES, 1, pool, period.to_bytes(32), to=address.to_bytes(32)[12:])
        return digest.to_bytes(32) if digest else None

    def tariff(self, version: int) -> AnnouncedTariff:
        """A version of the tariffs, in the contract that UsageFees itself names."""
        (address,) = self._words(TARIFFS, 1, to=self._trust.usage_fees)
        digest, valid_from, valid_to, approved_at, _ = self._words(
            TARIFF, 5, version.to_bytes(32), to=address.to_bytes(32)[12:]
        )
        return AnnouncedTariff(
            digest=digest.to_bytes(32),
            valid_from=valid_from,
            valid_to=valid_to,
            is_approved=approved_at not in (0, _VETOED),
        )

    def tariff_digest(self, version: int) -> bytes:
        """SHA-256 of a version's terms as they were announced; zeros where there is no such version."""
        return self.tariff(version).digest

    def utc_offset_seconds(self) -> int:
        """How far the site's clocks are from UTC when they are not put forward."""
        (address,) = self._words(TARIFFS, 1, to=self._trust.usage_fees)
        (offset,) = self._words(UTC_OFFSET_SECONDS, 1, to=address.to_bytes(32)[12:])
        return offset - (offset >> 255 << 256)

    def unit_at(self, index: int) -> bytes:
        """The alias of a unit of the roll."""
        (alias,) = self._words(UNIT_AT, 1, index.to_bytes(32), to=self._named(ROLL))
        return alias.to_bytes(32)

    def residents(self, unit: bytes, day: int) -> int:
        """How many people live in a unit on a boundary date."""
        (count,) = self._words(RESIDENTS, 1, unit, day.to_bytes(32), to=self._named(ROLL))
        return count

    def _named(self, name: bytes) -> bytes:
        """The address of another contract of the site, from the Registry's directory."""
        (address,) = self._words(CONTRACT_NAMED, 1, name)
        if address == 0 or address >> 160:
            raise RpcError("the Registry does not say where the site's bindings are; is it of this program's version?")
        return address.to_bytes(20)

    def _records(
        self, count_selector: str, selector: str, words: int, device: bytes, *, of: bytes | None = None
    ) -> list[tuple[int, ...]]:
        (count,) = self._words(count_selector, 1, device, to=of)
        if count > _RECORDS_MAX:
            raise RpcError(f"the chain holds {count} records of one device; {_RECORDS_MAX} is this program's limit")
        return [self._words(selector, words, device, number.to_bytes(32), to=of) for number in range(count)]

    def _words(self, selector: str, words: int, *arguments: bytes, to: bytes | None = None) -> tuple[int, ...]:
        """The result of one view, of the Registry unless another contract is named."""
        call = {"to": _hex(to or self._trust.registry), "data": "0x" + selector + b"".join(arguments).hex()}
        answer = self._ask("eth_call", call, "latest")
        try:
            result = bytes.fromhex(answer.removeprefix("0x"))
        except (AttributeError, ValueError) as error:
            raise RpcError("the node answered eth_call with something else than hex; try another node") from error
        if len(result) != 32 * words:
            raise RpcError(f"the node knows no such contract at {call['to']}; is it synchronised, is the trust file?")
        return tuple(int.from_bytes(result[at : at + 32]) for at in range(0, len(result), 32))

    def _ask(self, method: str, *parameters: Any) -> Any:
        if not self._is_chain_checked:
            chain_id = _quantity(self._rpc("eth_chainId", []))
            if chain_id != self._trust.chain_id:
                raise RpcError(f"this node serves chain {chain_id}, not {self._trust.chain_id}; ask one of that chain")
            self._is_chain_checked = True
        return self._rpc(method, list(parameters))


def _is_anchored(log: Any, anchor: Anchor) -> bool:
    """Whether a log is this anchor's event `Anchored(size indexed, root)`, from this contract and transaction."""
    return (
        isinstance(log, dict)
        and str(log.get("address")).lower() == _hex(anchor.contract)
        and log.get("topics") == [ANCHORED_TOPIC, _hex(anchor.size.to_bytes(32))]
        and log.get("data") == _hex(anchor.root)
        and log.get("transactionHash") == _hex(anchor.transaction)
        and log.get("removed") is not True
    )


def _hex(octets: bytes) -> str:
    return "0x" + octets.hex()


def _quantity(value: Any) -> int:
    try:
        return int(value, 16)
    except (TypeError, ValueError) as error:
        raise RpcError(f"the node answered {str(value)[:40]!r} where a number belongs; try another node") from error


def _date(number: int) -> date:
    try:
        return date(number // 10_000, number // 100 % 100, number % 100)
    except (ValueError, OverflowError) as error:
        raise RpcError(f"the Registry names date {number}, which is none") from error
