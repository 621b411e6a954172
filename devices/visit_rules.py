"""What a machine can say about a visit: rules in its profile, each naming one item, a quantity and what it should show.

The gateway weighs them against what the device said while the crew says it was there. They hold what the machine's own
switches and counters show, nothing that a person reports. Which items of a checklist a rule speaks for is the
checklist's knowledge (`shows` in a pack), for one machine is looked after by many of them.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from contracts.entry import Kind
from contracts.quantities import DEVICE_ONLINE
from devices.profile_header import parse_quantity
from devices.toml_table import Table

_ITEMS_MAX = 32
_MINIMUM_MAX = 1_000_000
_RETOLD_MAX = 3600
_RESERVED = (
    "from_ms",
    "to_ms",
    "heard",
    "left_out",
    "line",
    "presence",
    "taken_s",
    "work",
)  # what a verdict's facts hold beside the items


class RuleForm(StrEnum):
    """How a rule looks at its quantity over the visit's time."""

    HELD = "held"  # stood at `code` for `minimum` seconds, all stretches together
    DROPPED = "dropped"  # stood at `code` and left it again
    ENDED = "ended"  # stands at `code` when the visit is over
    ROSE = "rose"  # a counter rose by `minimum` while `during_quantity` stood at `during_code`
    COUNT = "count"  # a counter rose by `minimum`, whatever else
    WITHIN = (
        "within"  # the last value told lies from `least` to `most`, and was made meanwhile if `after_quantity` rose
    )
    PASSED = "passed"  # one of the visit's people passed a door beside the device
    TOLD = "told"  # an event was told: by whose card (`by`), with which `code`, or any
    AGREED = "agreed"  # a register is what the crew noted when it took a meter down (closing) or put one up (opening)
    EXCHANGED = "exchanged"  # the old meter is silent from the visit on, and the new one was not heard before
    WENT_ON = "went-on"  # a register goes on after the visit from where it stood before
    PAUSED = "paused"  # a meter did not answer for `minimum` seconds, while others of its line did


CLOSING, OPENING = "closing", "opening"
"""The two ends of a swap that an `agreed` rule can be about."""

SWAP_FORMS = frozenset({RuleForm.AGREED, RuleForm.EXCHANGED})
"""Forms that ask about two meters; the others look at one device."""

CALIBRATION_FORMS = frozenset({RuleForm.WENT_ON, RuleForm.PAUSED})
"""Forms that ask how one meter was read around a visit."""

METER_FORMS = SWAP_FORMS | CALIBRATION_FORMS
"""Forms for which the log's own readings are looked at, and nothing is kept beside it."""

NUMBER_FORMS = frozenset({RuleForm.ROSE, RuleForm.COUNT, RuleForm.WITHIN})
"""Forms whose quantity is a counter or a measure; the others look at codes and events."""

ANYONE, KNOWN, TEST_CARD, ANEW, CODE = "anyone", "known", "test-card", "anew", "code"
"""What TOLD counts: every event; those of a card that the gateway knows; of its test card; those whose value is another
than the one before; those with the rule's code.
"""

GATEWAYS_WORD: Mapping[str, Mapping[str, int]] = {DEVICE_ONLINE: {"no": 0, "yes": 1}}
"""What a gateway itself tells of a device at its endpoint, with the codes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitRule:
    """One item that the machine can confirm. What its form does not use is 0 or empty."""

    item: str
    form: RuleForm
    quantity: str
    code: int = 0  # of HELD, DROPPED and ENDED, and of TOLD by CODE
    by: str = ""  # of TOLD
    minimum: int = 0  # seconds of HELD and PAUSED, of AGREED how old the last reading may be; counts of ROSE and COUNT
    retold_s: int = 0  # of HELD: how often the device tells the code again while it stands; 0 where it does not
    during_quantity: str = ""  # of ROSE
    during_code: int = 0
    least: int = 0  # of WITHIN, both included
    most: int = 0
    after_quantity: str = ""  # of WITHIN: the counter of what makes such a value; "" where each value told is a new one
    end: str = ""  # of AGREED: closing or opening
    shows_work: bool = False  # whether it takes somebody who works on the machine; a lift in service is no testimony


def parse_visit_rules(
    top: Table,
    codes: Mapping[str, Mapping[str, int]],
    *,
    events: Collection[str] = (),
    registers: Collection[str] = (),
) -> tuple[VisitRule, ...]:
    """The `[[visit]]` tables of a profile.

    Args:
        codes: the named codes of every quantity that the profile maps; empty for counters.
        events: the quantities that the profile maps events to.
        registers: the cumulative registers that it has limits for: what rules about meters can name.

    Raises:
        ProfileError: a mistake; file, line and remedy are named.
    """
    tables = top.tables("visit")
    rules = tuple(_parse_rule(table, codes, {*events, *codes, *GATEWAYS_WORD}, registers) for table in tables)
    if len(rules) > _ITEMS_MAX or len({rule.item for rule in rules}) != len(rules):
        top.fail("visit", f"has {len(rules)} tables; write at most {_ITEMS_MAX}, each with an item of its own")
    return rules


def _parse_rule(
    table: Table, codes: Mapping[str, Mapping[str, int]], events: Collection[str], registers: Collection[str]
) -> VisitRule:
    form = RuleForm(table.choice("form", tuple(RuleForm)))
    item = table.string("item")
    if item in _RESERVED:
        table.fail("item", f"{item!r} stands for something else in a verdict; choose another name")
    rule = VisitRule(
        item=item,
        form=form,
        quantity=_looked_at(form, table, codes, events, registers),
        shows_work=table.boolean("shows_work", False),
        **_parameters(form, table, codes),
    )
    table.finish()
    return rule


def _parameters(form: RuleForm, table: Table, codes: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """What the rule's form needs to know beside its quantity."""
    match form:
        case RuleForm.HELD:
            seconds = table.integer("seconds", minimum=1, maximum=_MINIMUM_MAX)
            retold_s = table.integer("retold_seconds", 0, minimum=0, maximum=_RETOLD_MAX)
            return {"code": _own_code(table, codes), "minimum": seconds, "retold_s": retold_s}
        case RuleForm.DROPPED | RuleForm.ENDED:
            return {"code": _own_code(table, codes)}
        case RuleForm.ROSE:
            during = _quantity(table, "during", codes)
            during_code = _code(table, "during_code", codes[during])
            return {"minimum": _rise(table), "during_quantity": during, "during_code": during_code}
        case RuleForm.COUNT:
            return {"minimum": _rise(table)}
        case RuleForm.WITHIN:
            least = table.integer("least", minimum=-_MINIMUM_MAX, maximum=_MINIMUM_MAX)
            most = table.integer("most", minimum=least, maximum=_MINIMUM_MAX)
            after = _quantity(table, "after", codes) if "after" in table else ""
            return {"least": least, "most": most, "after_quantity": after}
        case RuleForm.AGREED:
            seconds = table.integer("seconds", 3600, minimum=1, maximum=_MINIMUM_MAX)
            return {"end": table.choice("register", (CLOSING, OPENING)), "minimum": seconds}
        case RuleForm.PAUSED:
            return {"minimum": table.integer("seconds", minimum=1, maximum=_MINIMUM_MAX)}
        case RuleForm.PASSED | RuleForm.EXCHANGED | RuleForm.WENT_ON:
            return {}
        case RuleForm.TOLD if "code" in table:
            named = {**codes, **GATEWAYS_WORD}.get(table.string("quantity"), {})
            return {"by": CODE, "code": _code(table, "code", named)}
        case RuleForm.TOLD:
            return {"by": table.choice("by", (ANYONE, KNOWN, TEST_CARD, ANEW), ANYONE)}


def _rise(table: Table) -> int:
    return table.integer("rise", minimum=1, maximum=_MINIMUM_MAX)


def _looked_at(
    form: RuleForm, table: Table, codes: Mapping[str, Mapping[str, int]], events: Collection[str],
    registers: Collection[str],
) -> str:  # fmt: skip
    if form is RuleForm.PASSED:
        return parse_quantity(table, "quantity", table.string("quantity"), Kind.ACCESS)
    if form in METER_FORMS:
        return _register(table, registers)
    if form is not RuleForm.TOLD:
        return _quantity(table, "quantity", codes)
    quantity = table.string("quantity")
    if quantity not in events:
        table.fail("quantity", f"{quantity!r} is an event of none here; write one of {', '.join(sorted(events))}")
    return quantity


def _register(table: Table, registers: Collection[str]) -> str:
    quantity = parse_quantity(table, "quantity", table.string("quantity"), Kind.READING)
    if quantity not in registers:
        table.fail("quantity", f"{quantity!r} is no cumulative register here; give it [limits], or remove this rule")
    return quantity


def _quantity(table: Table, key: str, codes: Mapping[str, Mapping[str, int]]) -> str:
    quantity = parse_quantity(table, key, table.string(key), Kind.STATUS)
    if quantity not in codes:
        table.fail(key, f"{quantity!r} is mapped by no [[message.value]] here; map it, or remove this rule")
    return quantity


def _own_code(table: Table, codes: Mapping[str, Mapping[str, int]]) -> int:
    return _code(table, "code", codes[table.string("quantity")])


def _code(table: Table, key: str, codes: Mapping[str, int]) -> int:
    name = table.string(key)
    if name not in codes:
        table.fail(key, f"is {name!r}; write one of the quantity's codes: {', '.join(codes) or 'it has none'}")
    return codes[name]
