"""What a gateway concludes from a machine while nobody is there: rules in its profile, each with a status of its own.

A lift that stood still for half an hour is out of order, whoever says so or not. The gateway's conclusion is an entry
of its log like any other, by which a contract can open a work order, and end it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.entry import Kind
from devices.profile_header import parse_quantity
from devices.toml_table import Table

_RULES_MAX = 8
_SECONDS_MAX = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRule:
    """One conclusion: 1 once a faulty code, or silence, has lasted for so long, 0 when a sound one stands again."""

    says: str  # the status that the gateway logs
    quantity: str
    seconds: int
    faulty: frozenset[int] = frozenset()  # codes, of which any may follow another
    sound: frozenset[int] = frozenset()

    @property
    def is_of_silence(self) -> bool:
        """Whether it concludes from nothing being told at all."""
        return not self.faulty


def parse_watch_rules(top: Table, codes: Mapping[str, Mapping[str, int]]) -> tuple[WatchRule, ...]:
    """The `[[watch]]` tables of a profile.

    Args:
        codes: the named codes of every quantity that the profile maps; empty for counters.

    Raises:
        ProfileError: a mistake; file, line and remedy are named.
    """
    rules = tuple(_parse_rule(table, codes) for table in top.tables("watch"))
    if len(rules) > _RULES_MAX or len({rule.says for rule in rules}) != len(rules):
        top.fail("watch", f"has {len(rules)} tables; write at most {_RULES_MAX}, each with a status of its own")
    return rules


def _parse_rule(table: Table, codes: Mapping[str, Mapping[str, int]]) -> WatchRule:
    says = parse_quantity(table, "says", table.string("says"), Kind.STATUS)
    quantity = table.string("quantity")
    if says in codes:
        table.fail("says", f"{says!r} is what the device itself tells; give the gateway's word another name")
    if "silent_seconds" in table and quantity in codes:
        seconds = table.integer("silent_seconds", minimum=60, maximum=_SECONDS_MAX)
        table.finish()
        return WatchRule(says=says, quantity=quantity, seconds=seconds)
    if not codes.get(quantity):
        table.fail("quantity", f"{quantity!r} is no quantity with codes here; map it, or remove this rule")
    rule = WatchRule(
        says=says,
        quantity=quantity,
        faulty=_codes(table, "faulty", codes[quantity]),
        sound=_codes(table, "sound", codes[quantity]),
        seconds=table.integer("seconds", minimum=1, maximum=_SECONDS_MAX),
    )
    if rule.faulty & rule.sound:
        table.fail("sound", "names a code that is faulty too; a code is one of them or neither")
    table.finish()
    return rule


def _codes(table: Table, key: str, codes: Mapping[str, int]) -> frozenset[int]:
    names = table.strings(key)
    if not names or not set(names) <= set(codes):
        table.fail(key, f"is {list(names)}; write some of the quantity's codes: {', '.join(codes)}")
    return frozenset(codes[name] for name in names)
