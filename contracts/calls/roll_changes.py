"""What the Roll takes from an enacted batch alone: inner calls, to be announced with `registry.announce`."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.abi import Call, Function
from contracts.calls.roll import PoolKeys

UNITS_MAX = 5  # units that fit into one add_units

_ADD_UNITS = Function(
    "add_units", bytes.fromhex("ca715fb0"), ("(bytes32,uint256,uint256,uint256,uint256,int256)[]",), ()
)
_SET_HEAD = Function("set_head", bytes.fromhex("93c8e79e"), ("bytes32", "uint256"), ())
_ADD_OWNER_KEY = Function(
    "add_owner_key", bytes.fromhex("7eae502e"), ("bytes32", "uint256", "uint256", "uint256", "uint256", "bytes32"), ()
)
_REPLACE_OWNER_KEY = Function(
    "replace_owner_key",
    bytes.fromhex("89d095d1"),
    ("bytes32", "bytes32", "uint256", "uint256", "uint256", "uint256"),
    (),
)
_REMOVE_OWNER_KEY = Function("remove_owner_key", bytes.fromhex("5bbff709"), ("bytes32", "bytes32"), ())
_SET_RESIDENTS = Function("set_residents", bytes.fromhex("fcaa2164"), ("bytes32", "uint256", "uint256"), ())
_ADD_POOL = Function("add_pool", bytes.fromhex("8eb8ad62"), ("bytes32",), ())
_SET_POOL_KEYS = Function(
    "set_pool_keys", bytes.fromhex("14749a6d"), ("bytes32", "(bytes32,uint256,uint256,uint256,uint256)"), ()
)
_SET_RELYING_PARTY = Function("set_relying_party", bytes.fromhex("da630a65"), ("uint256", "bytes32", "string"), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUnit:
    """A unit that joins the roll; its index is the next one."""

    alias: bytes
    area_centi_m2: int  # floor area in 0.01 m2
    category: int = 0  # which tariffs apply: 0 residential
    head: int  # the buyer's number; the next one opens a head
    building: int = 0
    floor: int = 1

    def abi(self) -> tuple[bytes, int, int, int, int, int]:
        """The fields in the contract's order."""
        return (self.alias, self.area_centi_m2, self.category, self.head, self.building, self.floor)


def add_units(to: str, *, units: Sequence[NewUnit]) -> Call:
    """Units in the order of the roll; each takes the next index."""
    return _ADD_UNITS.call(to, [unit.abi() for unit in units])


def set_head(to: str, *, unit: bytes, head: int) -> Call:
    """The unit has another buyer: the keys of the one before end, and so does the letter.

    Args:
        head: The buyer's number, or the next one for somebody who has no unit here yet.
    """
    return _SET_HEAD.call(to, unit, head)


def add_owner_key(to: str, *, unit: bytes, x: int, y: int, kind: int, relying_party: int, letter_code: bytes) -> Call:
    """An owner's key. The unit's first one needs the code of its activation letter."""
    return _ADD_OWNER_KEY.call(to, unit, x, y, kind, relying_party, letter_code)


def replace_owner_key(
    to: str, *, unit: bytes, old_key_id: bytes, x: int, y: int, kind: int, relying_party: int
) -> Call:
    """The new key for the old one, which signed for it and whose place on the roll it takes."""
    return _REPLACE_OWNER_KEY.call(to, unit, old_key_id, x, y, kind, relying_party)


def remove_owner_key(to: str, *, unit: bytes, key_id: bytes) -> Call:
    """End a key that its holder cannot end any more."""
    return _REMOVE_OWNER_KEY.call(to, unit, key_id)


def set_residents(to: str, *, unit: bytes, from_date: int, count: int) -> Call:
    """From this boundary date on, so many people live in the unit."""
    return _SET_RESIDENTS.call(to, unit, from_date, count)


def add_pool(to: str, *, pool: bytes) -> Call:
    """Usage that units share; by floor area, unless a table of keys says otherwise."""
    return _ADD_POOL.call(to, pool)


def set_pool_keys(to: str, *, pool: bytes, keys: PoolKeys) -> Call:
    """The table of keys by which the pool is shared from a boundary date on.

    Args:
        keys: Root and total of the table's sum tree, in unit order; a unit that has no part has key zero.
    """
    return _SET_POOL_KEYS.call(to, pool, keys.abi())


def set_relying_party(to: str, *, number: int, rp_id_hash: bytes, origin: str) -> Call:
    """A web origin whose passkeys owners may register."""
    return _SET_RELYING_PARTY.call(to, number, rp_id_hash, origin)
