"""The rules of an MQTT profile, compiled once into functions that take a parsed message apart.

A message has a handful of quantities and a gateway takes thousands of messages a second, so nothing that a rule decides
is looked up again for each message. Numbers stay exact: a JSON fraction is a `Decimal`, never a float.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal

from devices.errors import MessageError
from devices.mqtt_profile import EventRule, Path, ValueRule
from devices.reading import NO_DETAIL, Reading

SEQUENCE_END = 2**53
VALUE_END = 2**63
DETAIL_TEXT_MAX = 200
EXPONENT_MAX = 30

Finder = Callable[[object], object]
"""Gives what stands at a path of a message, None where nothing or null does."""

Extractor = Callable[[object, int | None], Reading | None]
"""Gives the reading of one rule out of a message and the device's own time, None where the message has none.

Raises `MessageError` where what the message says does not fit the rule.
"""

CommitCredential = Callable[[str], Mapping[str, str]]


def compile_path(path: Path) -> Finder:
    """The finder of one path."""
    if len(path) == 1:
        key = str(path[0])

        def find_key(content: object) -> object:
            return content.get(key) if isinstance(content, dict) else _walk(content, path)

        return find_key
    return lambda content: _walk(content, path)


def compile_value(rule: ValueRule) -> Extractor:
    """The extractor of a number or a named code."""
    return _compile_code(rule) if rule.codes else _compile_number(rule)


def compile_event(rule: EventRule, commit_credential: CommitCredential | None) -> Extractor:
    """The extractor of a text that chooses the quantity; `commit_credential` where the rule names a credential."""
    find, detail_of = compile_path(rule.path), compile_detail(rule.detail)

    def extract(content: object, meter_at_ms: int | None) -> Reading:
        name = find(content)
        quantity = rule.quantities.get(name) if isinstance(name, str) else None
        if quantity is None:
            knows = ", ".join(rule.quantities)
            raise MessageError(f"{path_text(rule.path)} is {shown(name)}; the profile knows {knows}")
        detail = detail_of(content)
        if rule.credential is not None and commit_credential is not None:
            credential = _walk(content, rule.credential)
            if isinstance(credential, str | int) and not isinstance(credential, bool):
                detail = {**detail, "credential": dict(commit_credential(str(credential)))}
            elif credential is not None:
                raise MessageError(f"{path_text(rule.credential)}: a credential is a text or a whole number")
        return Reading(rule.kind, quantity, 1, meter_at_ms, None, detail)

    return extract


def compile_detail(named: tuple[tuple[str, Path], ...]) -> Callable[[object], Mapping[str, object]]:
    """Gives what a profile keeps beside a reading; fractions become exact texts, what is absent stays away."""
    if not named:
        return lambda content: NO_DETAIL

    def detail_of(content: object) -> Mapping[str, object]:
        detail: dict[str, object] = {}
        for name, path in named:
            found = _walk(content, path)
            if isinstance(found, Decimal) or (type(found) is int and abs(found) >= SEQUENCE_END):
                found = str(found)
            if isinstance(found, str):
                detail[name] = found[:DETAIL_TEXT_MAX]
            elif isinstance(found, int):
                detail[name] = found
        return detail

    return detail_of


def path_text(path: Path) -> str:
    """A path as the profile writes it."""
    return ".".join(map(str, path)) or "the message"


def shown(found: object) -> str:
    """What stands in a message, for an error's text."""
    return "missing" if found is None else repr(found)[:80]


def _walk(content: object, path: Path) -> object:
    for step in path:
        if isinstance(content, dict):
            content = content.get(str(step))
        elif isinstance(content, list) and isinstance(step, int) and step < len(content):
            content = content[step]
        else:
            return None
    return content


def _compile_code(rule: ValueRule) -> Extractor:
    find, detail_of = compile_path(rule.path), compile_detail(rule.detail)

    def extract(content: object, meter_at_ms: int | None) -> Reading | None:
        found = find(content)
        if found is None:
            _refuse_absence(rule)
            return None
        name = ("true" if found else "false") if isinstance(found, bool) else found
        code = rule.codes.get(name) if isinstance(name, str) else None
        if code is None:
            raise MessageError(f"{path_text(rule.path)} is {shown(found)}; the profile knows {', '.join(rule.codes)}")
        return Reading(rule.kind, rule.quantity, code, meter_at_ms, None, detail_of(content))

    return extract


def _compile_number(rule: ValueRule) -> Extractor:
    """Numbers come out in the quantity's base unit; exact, or refused."""
    find, detail_of, has_detail = compile_path(rule.path), compile_detail(rule.detail), bool(rule.detail)
    kind, quantity, numerator, denominator = rule.kind, rule.quantity, rule.numerator, rule.denominator
    key = str(rule.path[0]) if len(rule.path) == 1 else None

    def extract(content: object, meter_at_ms: int | None) -> Reading | None:
        found = content.get(key) if key is not None and isinstance(content, dict) else find(content)
        if type(found) is Decimal and -EXPONENT_MAX <= found.adjusted() <= EXPONENT_MAX:
            top, bottom = found.as_integer_ratio()
        elif type(found) is int:
            top, bottom = found, 1
        elif found is None:
            _refuse_absence(rule)
            return None
        else:
            raise MessageError(f"{path_text(rule.path)} is {shown(found)}; {quantity} needs a number of usual size")
        value, rest = divmod(top * numerator, bottom * denominator)
        if rest and not rule.is_rounded_down:
            finer = f"finer than {quantity} is kept; set round_down or a unit"
            raise MessageError(f"{path_text(rule.path)} is {found}: {finer}")
        if not -VALUE_END < value < VALUE_END:
            raise MessageError(f"{path_text(rule.path)} is {shown(found)}; {quantity} is kept in 63 bits")
        return Reading(kind, quantity, value, meter_at_ms, None, detail_of(content) if has_detail else NO_DETAIL)

    return extract


def _refuse_absence(rule: ValueRule) -> None:
    if rule.is_required:
        raise MessageError(f"{path_text(rule.path)} is missing; the profile requires it")
