"""Messages that devices publish over MQTT, read by the paths of a profile.

Numbers stay exact: a JSON fraction never becomes a float.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, DecimalException

from devices.errors import MessageError
from devices.mqtt_profile import EventRule, MessageRule, MqttJsonProfile, Path, ValueRule
from devices.reading import NO_DETAIL, Reading

PAYLOAD_BYTES_MAX = 64 * 1024
SEQUENCE_END = 2**53
VALUE_END = 2**63
DETAIL_TEXT_MAX = 200
EXPONENT_MAX = 30
_MISSING = object()

CommitCredential = Callable[[str], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Message:
    """What one message said. `sequence` is the device's own number for it, which tells repeats, else None."""

    sequence: int | None
    readings: tuple[Reading, ...]


class MqttJsonDevice:
    """Reads the messages of one device.

    Args:
        profile: of its family.
        topic: the device's own topic, which stands for `{topic}` in the profile.
        commit_credential: makes the commitment to a credential; needed where the profile has credentials.
    """

    __slots__ = ("_commit_credential", "_rules", "topics")

    def __init__(
        self, profile: MqttJsonProfile, topic: str, *, commit_credential: CommitCredential | None = None
    ) -> None:
        if commit_credential is None and any(event.credential for rule in profile.messages for event in rule.events):
            raise MessageError(f"profile {profile.name} maps credentials; give a CredentialCommitter")
        self._commit_credential = commit_credential
        self._rules = {rule.topic.replace("{topic}", topic): rule for rule in profile.messages}
        self.topics = tuple(self._rules)

    def decode(self, topic: str, payload: bytes) -> Message:
        """What a message on one of `topics` says.

        Raises:
            MessageError: another topic, no JSON, too large, a required path is missing, a value does not fit its rule.
        """
        rule = self._rules.get(topic)
        if rule is None:
            raise MessageError(f"topic {topic!r} is none of this device's: {', '.join(self.topics)}")
        content = _parse_json(payload) if rule.is_json else _parse_text(payload)
        meter_at_ms = None if rule.time is None else _time_ms(rule, content)
        readings = [
            reading
            for value in rule.values
            if (reading := _read_value(value, content, meter_at_ms)) is not None
        ]  # fmt: skip
        readings.extend(self._read_event(event, content, meter_at_ms) for event in rule.events)
        if not readings:
            raise MessageError(f"message on {topic!r} has nothing that its profile maps; check the profile's paths")
        return Message(None if rule.sequence is None else _sequence(rule.sequence, content), tuple(readings))

    def _read_event(self, rule: EventRule, content: object, meter_at_ms: int | None) -> Reading:
        name = _look_up(content, rule.path)
        quantity = rule.quantities.get(name) if isinstance(name, str) else None
        if quantity is None:
            raise MessageError(f"{_text(rule.path)} is {_shown(name)}; the profile knows {', '.join(rule.quantities)}")
        detail = _detail(rule.detail, content)
        if rule.credential is not None:
            credential = _look_up(content, rule.credential)
            if isinstance(credential, str | int) and not isinstance(credential, bool):
                assert self._commit_credential is not None
                detail = {**detail, "credential": dict(self._commit_credential(str(credential)))}
            elif credential is not _MISSING and credential is not None:
                raise MessageError(f"{_text(rule.credential)}: a credential is a text or a whole number")
        return Reading(kind=rule.kind, quantity=quantity, value=1, meter_at_ms=meter_at_ms, detail=detail)


def _parse_json(payload: bytes) -> object:
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise MessageError(f"message has {len(payload)} bytes; at most {PAYLOAD_BYTES_MAX} are read")
    try:
        return _decode_json(payload.decode())
    except (ValueError, RecursionError, DecimalException) as error:
        raise MessageError(f"message is not JSON: {error}; check the device's format") from error


def _refuse_constant(text: str) -> object:
    raise ValueError(f"{text} is no number")


_decode_json = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant).decode


def _parse_text(payload: bytes) -> object:
    try:
        return payload.decode().strip() if len(payload) <= DETAIL_TEXT_MAX else _MISSING
    except UnicodeDecodeError as error:
        raise MessageError("message is not UTF-8 text; check the device's format") from error


def _look_up(content: object, path: Path) -> object:
    for step in path:
        if isinstance(content, dict):
            content = content.get(str(step), _MISSING)
        elif isinstance(content, list) and isinstance(step, int) and step < len(content):
            content = content[step]
        else:
            return _MISSING
    return content


def _read_value(rule: ValueRule, content: object, meter_at_ms: int | None) -> Reading | None:
    found = _look_up(content, rule.path)
    if found is _MISSING or found is None:
        if rule.is_required:
            raise MessageError(f"{_text(rule.path)} is missing; the profile requires it")
        return None
    value = _code(rule, found) if rule.codes else _number(rule, found)
    detail = _detail(rule.detail, content) if rule.detail else NO_DETAIL
    return Reading(kind=rule.kind, quantity=rule.quantity, value=value, meter_at_ms=meter_at_ms, detail=detail)


def _code(rule: ValueRule, found: object) -> int:
    name = ("true" if found else "false") if isinstance(found, bool) else found
    code = rule.codes.get(name) if isinstance(name, str) else None
    if code is None:
        raise MessageError(f"{_text(rule.path)} is {_shown(found)}; the profile knows {', '.join(rule.codes)}")
    return code


def _number(rule: ValueRule, found: object) -> int:
    """A JSON number in the quantity's base unit; exact, or refused."""
    if type(found) is int:
        numerator = found
        denominator = 1
    elif isinstance(found, Decimal) and -EXPONENT_MAX <= found.adjusted() <= EXPONENT_MAX:
        numerator, denominator = found.as_integer_ratio()
    else:
        raise MessageError(f"{_text(rule.path)} is {_shown(found)}; {rule.quantity} needs a number of usual size")
    value, rest = divmod(numerator * rule.numerator, denominator * rule.denominator)
    if rest and not rule.is_rounded_down:
        raise MessageError(
            f"{_text(rule.path)} is {found}: finer than {rule.quantity} is kept; set round_down or a unit"
        )
    if not -VALUE_END < value < VALUE_END:
        raise MessageError(f"{_text(rule.path)} is {_shown(found)}; {rule.quantity} is kept in 63 bits")
    return value


def _detail(named: tuple[tuple[str, Path], ...], content: object) -> Mapping[str, object]:
    """The values that a profile keeps beside a reading; fractions become exact texts, what is absent stays away."""
    detail: dict[str, object] = {}
    for name, path in named:
        found = _look_up(content, path)
        if isinstance(found, Decimal) or (type(found) is int and abs(found) >= SEQUENCE_END):
            found = str(found)
        if isinstance(found, str):
            detail[name] = found[:DETAIL_TEXT_MAX]
        elif isinstance(found, int):
            detail[name] = found
    return detail


def _sequence(path: Path, content: object) -> int:
    found = _look_up(content, path)
    if type(found) is not int or not 0 <= found < SEQUENCE_END:
        raise MessageError(f"{_text(path)} is {_shown(found)}; a sequence number is whole, from 0 to below 2^53")
    return found


def _time_ms(rule: MessageRule, content: object) -> int | None:
    """The device's own time in UTC milliseconds, or None where the message has none."""
    assert rule.time is not None
    found = _look_up(content, rule.time)
    if found is _MISSING or found is None:
        return None
    try:
        if rule.time_format == "iso8601" and isinstance(found, str):
            at = datetime.fromisoformat(found)
            return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
        if rule.time_format == "unix-s" and isinstance(found, int | Decimal):
            found = int(found * 1000)
    except (ValueError, OverflowError):
        found = _MISSING
    if type(found) is not int or not 0 <= found < SEQUENCE_END:
        raise MessageError(f"{_text(rule.time)} is {_shown(found)}; the profile expects a time as {rule.time_format}")
    return found


def _text(path: Path) -> str:
    return ".".join(map(str, path)) or "the message"


def _shown(found: object) -> str:
    return "missing" if found is _MISSING else repr(found)[:80]
