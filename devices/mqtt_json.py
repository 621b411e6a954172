"""Messages that devices publish over MQTT, read by the paths of a profile.

Numbers stay exact: a JSON fraction never becomes a float.
"""

import json
from datetime import UTC, datetime
from decimal import Decimal, DecimalException
from typing import NamedTuple

from devices.errors import MessageError
from devices.extractor import (
    DETAIL_TEXT_MAX,
    SEQUENCE_END,
    CommitCredential,
    Extractor,
    Finder,
    compile_event,
    compile_path,
    compile_value,
    path_text,
    shown,
)
from devices.mqtt_profile import MessageRule, MqttJsonProfile
from devices.reading import Reading

PAYLOAD_BYTES_MAX = 64 * 1024


class Message(NamedTuple):
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

    __slots__ = ("_rules", "topics")

    def __init__(
        self, profile: MqttJsonProfile, topic: str, *, commit_credential: CommitCredential | None = None
    ) -> None:
        if commit_credential is None and any(event.credential for rule in profile.messages for event in rule.events):
            raise MessageError(f"profile {profile.name} maps credentials; give a CredentialCommitter")
        self._rules = {
            rule.topic.replace("{topic}", topic): _CompiledRule(rule, commit_credential) for rule in profile.messages
        }
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
        meter_at_ms = None if rule.find_time is None else _time_ms(rule.rule, rule.find_time(content))
        readings = []
        for extract in rule.extractors:
            reading = extract(content, meter_at_ms)
            if reading is not None:
                readings.append(reading)
        if not readings:
            raise MessageError(f"message on {topic!r} has nothing that its profile maps; check the profile's paths")
        if rule.find_sequence is None:
            return Message(None, tuple(readings))
        sequence = rule.find_sequence(content)
        if type(sequence) is not int or not 0 <= sequence < SEQUENCE_END:
            path = path_text(rule.rule.sequence or ())
            raise MessageError(f"{path} is {shown(sequence)}; a sequence number is whole, from 0 to below 2^53")
        return Message(sequence, tuple(readings))


class _CompiledRule:
    """What a device says on one topic."""

    __slots__ = ("extractors", "find_sequence", "find_time", "is_json", "rule")

    def __init__(self, rule: MessageRule, commit_credential: CommitCredential | None) -> None:
        self.rule = rule
        self.is_json = rule.is_json
        self.find_sequence: Finder | None = None if rule.sequence is None else compile_path(rule.sequence)
        self.find_time: Finder | None = None if rule.time is None else compile_path(rule.time)
        values = [compile_value(value) for value in rule.values]
        events = [compile_event(event, commit_credential) for event in rule.events]
        self.extractors: tuple[Extractor, ...] = (*values, *events)


def _parse_json(payload: bytes) -> object:
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise MessageError(f"message has {len(payload)} bytes; at most {PAYLOAD_BYTES_MAX} are read")
    try:
        text = payload.decode()
        if text[:1] == "{" and text[-1:] == "}":
            content, end = _decode_first(text)
            if end == len(text):
                return content
        return _decode_json(text)
    except (ValueError, RecursionError, DecimalException) as error:
        raise MessageError(f"message is not JSON: {error}; check the device's format") from error


def _refuse_constant(text: str) -> object:
    raise ValueError(f"{text} is no number")


_JSON = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)
_decode_json = _JSON.decode
_decode_first = _JSON.raw_decode  # without the searches for white space around


def _parse_text(payload: bytes) -> object:
    try:
        return payload.decode().strip() if len(payload) <= DETAIL_TEXT_MAX else None
    except UnicodeDecodeError as error:
        raise MessageError("message is not UTF-8 text; check the device's format") from error


def _time_ms(rule: MessageRule, found: object) -> int | None:
    """The device's own time in UTC milliseconds, or None where the message has none."""
    if found is None:
        return None
    try:
        if rule.time_format == "iso8601" and isinstance(found, str):
            at = datetime.fromisoformat(found)
            return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
        if rule.time_format == "unix-s" and isinstance(found, int | Decimal):
            found = int(found * 1000)
    except (ValueError, OverflowError):
        pass
    if type(found) is not int or not 0 <= found < SEQUENCE_END:
        path = path_text(rule.time or ())
        raise MessageError(f"{path} is {shown(found)}; the profile expects a time as {rule.time_format}")
    return found
