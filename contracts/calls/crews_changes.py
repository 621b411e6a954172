"""What Crews takes from an enacted batch alone: inner calls, to be announced with `registry.announce`."""

from contracts.abi import Call, Function

_SET_FIRM = Function("set_firm", bytes.fromhex("8b225c9f"), ("uint256", "bytes32", "uint256"), ())
_SET_MEMBER = Function("set_member", bytes.fromhex("78d05b27"), ("bytes32", "uint256", "uint256", "uint256"), ())
_ADD_CREW_KEY = Function(
    "add_crew_key", bytes.fromhex("8e82d07f"), ("bytes32", "uint256", "uint256", "uint256", "uint256"), ()
)
_REPLACE_CREW_KEY = Function(
    "replace_crew_key",
    bytes.fromhex("e93bdee7"),
    ("bytes32", "bytes32", "uint256", "uint256", "uint256", "uint256"),
    (),
)
_SET_RELYING_PARTY = Function("set_relying_party", bytes.fromhex("da630a65"), ("uint256", "bytes32", "string"), ())


def set_firm(to: str, *, firm: int, name_digest: bytes, licence_until: int) -> Call:
    """A firm that serves the site, or its renewed licence.

    Args:
        firm: Its number on this site, from 1.
        name_digest: SHA-256 of its registered name and credit code.
        licence_until: Unix seconds.
    """
    return _SET_FIRM.call(to, firm, name_digest, licence_until)


def set_member(to: str, *, alias: bytes, firm: int, duties: int, licence_until: int) -> Call:
    """A person with duties, or their renewed licence; the key is added beside it."""
    return _SET_MEMBER.call(to, alias, firm, duties, licence_until)


def add_crew_key(to: str, *, alias: bytes, x: int, y: int, kind: int, relying_party: int) -> Call:
    """The key of a person who has none in force."""
    return _ADD_CREW_KEY.call(to, alias, x, y, kind, relying_party)


def replace_crew_key(
    to: str, *, alias: bytes, old_key_id: bytes, x: int, y: int, kind: int, relying_party: int
) -> Call:
    """The new key for the old one, which signed for it."""
    return _REPLACE_CREW_KEY.call(to, alias, old_key_id, x, y, kind, relying_party)


def set_relying_party(to: str, *, number: int, rp_id_hash: bytes, origin: str) -> Call:
    """A web origin whose passkeys people with duties may register."""
    return _SET_RELYING_PARTY.call(to, number, rp_id_hash, origin)
