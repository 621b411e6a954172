"""Detail bytes: what an entry says beyond its seven words, as RFC 8785 canonical JSON in a narrow profile.

Objects, arrays, strings, booleans and integers below 2^53; no null, no fractions, no duplicate keys; at most 4 KB and
16 levels; its own 16-byte salt, so that the digest in the entry tells nothing to who must guess the rest.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from contracts.errors import DetailError

DETAIL_BYTES_MAX = 4096
DETAIL_DEPTH_MAX = 16
SALT_BYTES = 16
INTEGER_END = 2**53

# RFC 8785 escapes exactly what json.dumps escapes with ensure_ascii=False, and in the same way.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def canonical_json(value: object, *, nulls: bool = False) -> bytes:
    """The RFC 8785 bytes of a value of the narrow profile; files (not details) may hold nulls as well.

    Raises:
        DetailError: a null, a fraction, an integer of 2^53 or more, a key that is no string, or over 16 levels.

    Source: RFC 8785, 3.2 (keys sorted by UTF-16 code units, no white space, shortest escapes).
    """
    try:
        return _ENCODER.encode(_in_order(value, 0, nulls)).encode()
    except UnicodeEncodeError as error:
        raise DetailError("a string holds half of a surrogate pair, which has no UTF-8") from error


def parse_canonical_json(encoded: bytes, *, nulls: bool = False) -> Any:
    """The value that these bytes are the canonical JSON of.

    Raises:
        DetailError: not JSON, outside the profile, or another spelling than the canonical one.
    """
    try:
        value = json.loads(encoded.decode(), parse_float=_refuse_fraction, parse_constant=_refuse_fraction)
    except (ValueError, RecursionError) as error:
        raise DetailError(f"not JSON: {error}") from error
    if canonical_json(value, nulls=nulls) != encoded:  # a duplicate key, too, comes out shorter than it went in
        raise DetailError("not canonical JSON (RFC 8785): sort its keys, drop white space and duplicates")
    return value


def encode_detail(fields: Mapping[str, object], *, salt: bytes) -> bytes:
    """Detail bytes of an entry: `fields` with the salt in hex as `"salt"`.

    Args:
        fields: values of the narrow profile, without `salt`.
        salt: 16 random bytes, not the entry's own salt.

    Raises:
        DetailError: outside the profile, a salt of another length, `salt` among the fields, or over 4096 bytes.
    """
    if len(salt) != SALT_BYTES or "salt" in fields:
        raise DetailError(f"detail takes one salt of {SALT_BYTES} bytes, beside its fields")
    encoded = canonical_json({**fields, "salt": salt.hex()})
    if len(encoded) > DETAIL_BYTES_MAX:
        raise DetailError(f"detail has {len(encoded)} bytes; {DETAIL_BYTES_MAX} is the limit, so log a digest instead")
    return encoded


def decode_detail(encoded: bytes) -> dict[str, Any]:
    """The fields of detail bytes, `salt` included.

    Raises:
        DetailError: over 4096 bytes, not canonical, not an object, or without a salt of 16 bytes in hex.
    """
    if len(encoded) > DETAIL_BYTES_MAX:
        raise DetailError(f"detail has {len(encoded)} bytes; {DETAIL_BYTES_MAX} is the limit")
    fields = parse_canonical_json(encoded)
    if not isinstance(fields, dict):
        raise DetailError("detail is not a JSON object")
    salt = fields.get("salt")
    if not isinstance(salt, str) or len(salt) != 2 * SALT_BYTES or set(salt) - set("0123456789abcdef"):
        raise DetailError(f"detail has no salt of {SALT_BYTES} bytes in lower-case hex")
    return fields


def detail_digest(encoded: bytes) -> bytes:
    """What the entry's detail word holds: SHA-256 of the detail bytes."""
    return hashlib.sha256(encoded).digest()


def _in_order(value: object, depth: int, nulls: bool) -> object:
    """`value` with every object's keys in RFC 8785 order, checked against the profile."""
    if depth > DETAIL_DEPTH_MAX:
        raise DetailError(f"nested deeper than {DETAIL_DEPTH_MAX} levels")
    if isinstance(value, bool | str) or (value is None and nulls):
        return value
    if isinstance(value, int):
        if not -INTEGER_END < value < INTEGER_END:
            raise DetailError(f"integer {value} is beyond 2^53; write it as a decimal string")
        return value
    if isinstance(value, list | tuple):
        return [_in_order(element, depth + 1, nulls) for element in value]
    if isinstance(value, Mapping):
        return {key: _in_order(value[key], depth + 1, nulls) for key in sorted(value, key=_utf16)}
    raise DetailError(f"{value!r} is outside the profile: objects, arrays, strings, booleans and integers below 2^53")


def _utf16(key: object) -> bytes:
    if not isinstance(key, str):
        raise DetailError(f"object key {key!r} is not a string")
    return key.encode("utf-16-be", "surrogatepass")


def _refuse_fraction(text: str) -> object:
    raise DetailError(f"number {text} is not a whole one; scale it to a smaller unit")
