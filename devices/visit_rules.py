"""What a machine can say about a visit: rules in its profile, each naming one item, a quantity and what it should show.

The gateway weighs them against what the device said while the crew says it was there. They hold what the machine's own
switches and counters show, nothing that a person reports.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from contracts.entry import Kind
from devices.profile_header import parse_quantity
from devices.toml_table import Table

_ITEMS_MAX = 16
_MINIMUM_MAX = 1_000_000


class RuleForm(StrEnum):
    """How a rule looks at its quantity over the visit's time."""

    HELD = "held"  # stood at `code` for `minimum` seconds, all stretches together
    ROSE = "rose"  # a counter rose by `minimum` while `during_quantity` stood at `during_code`
    ENDED = "ended"  # stands at `code` when the visit is over


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitRule:
    """One item that the machine can confirm."""

    item: str
    form: RuleForm
    quantity: str
    code: int  # of HELD and ENDED
    minimum: int  # seconds of HELD, counts of ROSE
    during_quantity: str  # of ROSE
    during_code: int
    shows_work: bool  # whether it takes somebody who works on the machine; a lift in service is no testimony


def parse_visit_rules(top: Table, codes: Mapping[str, Mapping[str, int]]) -> tuple[VisitRule, ...]:
    """The `[[visit]]` tables of a profile.

    Args:
        codes: the named codes of every quantity that the profile maps; empty for counters.

    Raises:
        ProfileError: a mistake; file, line and remedy are named.
    """
    tables = top.tables("visit")
    rules = tuple(_parse_rule(table, codes) for table in tables)
    if len(rules) > _ITEMS_MAX or len({rule.item for rule in rules}) != len(rules):
        top.fail("visit", f"has {len(rules)} tables; write at most {_ITEMS_MAX}, each with an item of its own")
    return rules


def _parse_rule(table: Table, codes: Mapping[str, Mapping[str, int]]) -> VisitRule:
    form = RuleForm(table.choice("form", tuple(RuleForm)))
    quantity = _quantity(table, "quantity", codes)
    code, minimum, during_quantity, during_code = 0, 0, "", 0
    if form is RuleForm.ROSE:
        minimum = table.integer("rise", minimum=1, maximum=_MINIMUM_MAX)
        during_quantity = _quantity(table, "during", codes)
        during_code = _code(table, "during_code", codes[during_quantity])
    else:
        code = _code(table, "code", codes[quantity])
    if form is RuleForm.HELD:
        minimum = table.integer("seconds", minimum=1, maximum=_MINIMUM_MAX)
    rule = VisitRule(
        item=table.string("item"),
        form=form,
        quantity=quantity,
        code=code,
        minimum=minimum,
        during_quantity=during_quantity,
        during_code=during_code,
        shows_work=table.boolean("shows_work", False),
    )
    table.finish()
    return rule


def _quantity(table: Table, key: str, codes: Mapping[str, Mapping[str, int]]) -> str:
    quantity = parse_quantity(table, key, table.string(key), Kind.STATUS)
    if quantity not in codes:
        table.fail(key, f"{quantity!r} is mapped by no [[message.value]] here; map it, or remove this rule")
    return quantity


def _code(table: Table, key: str, codes: Mapping[str, int]) -> int:
    name = table.string(key)
    if name not in codes:
        table.fail(key, f"is {name!r}; write one of the quantity's codes: {', '.join(codes) or 'it has none'}")
    return codes[name]
