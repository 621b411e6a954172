"""Flags as they are kept, shown, explained and decided.

A flag stands with its reason from when it is raised, and for both visits that it names. The firm may say why; the site
manager or the owners' committee decide; each word is kept with who said it, and in the audit log. Nothing else follows
from a flag here.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import func, or_, select

from cloud.directory import Words
from cloud.errors import CloudError
from cloud.identity.audit import LOCK, Act, write_entry
from cloud.identity.people import Grant
from cloud.integrity.facts import Flag
from cloud.integrity.words import says
from cloud.store import Store, insert_new, tables

__all__ = [
    "FlagRefused",
    "FlagState",
    "FlagView",
    "FlagWord",
    "explain_or_decide",
    "find_flag",
    "flags_of",
    "newest_flags",
    "raise_flags",
]

SAYS_MAX = 1_000
ANSWERS_MAX = 5  # of one firm
DECISIONS_MAX = 50
_AT_ONCE = 500


class FlagState(StrEnum):
    """What became of a flag: what a person decided last; before that, whether the firm has answered."""

    OPEN = "open"
    EXPLAINED = "explained"
    UPHELD = "upheld"
    DISMISSED = "dismissed"


class FlagRefused(CloudError):
    """A word to a flag is not taken. `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagWord:
    """What was said to a flag; never by whom, but in which role and, of a firm, which."""

    state: FlagState
    says: str
    role: str
    firm: str | None
    said_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagView:
    """One flag as people see it."""

    name: str  # 32 hex digits
    visit: bytes
    other: bytes | None
    device: bytes
    kind: str
    grave: bool
    raised_at_ms: int
    reason: Words
    words: tuple[FlagWord, ...] = ()

    @property
    def state(self) -> FlagState:
        decided = [word.state for word in self.words if word.state is not FlagState.EXPLAINED]
        if decided:
            return decided[-1]
        return FlagState.EXPLAINED if self.words else FlagState.OPEN

    @property
    def answer(self) -> FlagWord | None:
        """The firm's last explanation."""
        said = [word for word in self.words if word.state is FlagState.EXPLAINED]
        return said[-1] if said else None


async def raise_flags(connection: Any, devices: Mapping[bytes, bytes], flags: Sequence[Flag], *, now_ms: int) -> int:
    """Keep those flags that are new; how many.

    Args:
        devices: of each visit that a flag is about.
    """
    count = 0
    for flag in flags:
        facts = json.dumps({"why": flag.why, **flag.facts}, separators=(",", ":"))
        row = {
            "flag_id": flag.name(), "digest": flag.visit, "other": flag.other, "device": devices[flag.visit],
            "kind": flag.kind.value, "grave": flag.grave, "facts": facts, "raised_at_ms": now_ms,
        }  # fmt: skip
        count += await insert_new(connection, tables.visit_flags, row)
    return count


async def flags_of(connection: Any, visits: Collection[bytes]) -> Mapping[bytes, Sequence[FlagView]]:
    """The flags of each of these visits, oldest first; one that names two visits stands with both."""
    wanted, column, rows = list(visits), tables.visit_flags.c, []
    for first in range(0, len(wanted), _AT_ONCE):
        some = wanted[first : first + _AT_ONCE]
        query = select(tables.visit_flags).where(or_(column.digest.in_(some), column.other.in_(some)))
        rows += (await connection.execute(query)).all()
    found: dict[bytes, dict[str, FlagView]] = {digest: {} for digest in wanted}
    for flag in await _views(connection, rows):
        for digest in (flag.visit, flag.other):
            if digest in found:
                found[digest][flag.name] = flag
    return {digest: tuple(sorted(flags.values(), key=_age)) for digest, flags in found.items() if flags}


async def newest_flags(connection: Any, *, count: int, devices: Collection[bytes] | None = None) -> Sequence[FlagView]:
    """The last flags, newest first; of some devices alone if given."""
    column = tables.visit_flags.c
    query = select(tables.visit_flags).order_by(column.raised_at_ms.desc(), column.flag_id).limit(count)
    if devices is not None:
        query = query.where(column.device.in_(devices))
    return await _views(connection, (await connection.execute(query)).all())


async def find_flag(connection: Any, name: bytes) -> FlagView | None:
    """One flag by its name."""
    query = select(tables.visit_flags).where(tables.visit_flags.c.flag_id == name)
    found = await _views(connection, (await connection.execute(query)).all())
    return found[0] if found else None


async def explain_or_decide(store: Store, name: bytes, state: FlagState, text: str, *, by: Grant, now_ms: int) -> None:
    """Add a word to a flag, with an entry in the audit log. Who may say which is the caller's question.

    Raises:
        FlagRefused: no text, one too long, no such flag, or one to which that was said often enough.
    """
    text = text.strip()
    if not text or len(text) > SAYS_MAX:
        raise FlagRefused(422, f"say why, in 1 to {SAYS_MAX} characters")
    async with store.write(LOCK) as connection:
        column = tables.flag_words.c
        if await find_flag(connection, name) is None:
            raise FlagRefused(404, "no such flag")
        number = (await connection.execute(select(func.count()).where(column.flag_id == name))).scalar_one()
        await _check_room(connection, name, state, by)
        row = {
            "flag_id": name, "number": number, "word": state.value, "says": text, "account_id": by.account,
            "role": by.role.value, "firm": by.firm, "said_at_ms": now_ms,
        }  # fmt: skip
        await insert_new(connection, tables.flag_words, row)
        act = Act.FLAG_EXPLAINED if state is FlagState.EXPLAINED else Act.FLAG_DECIDED
        what = f"/flags/{name.hex()} {state.value}"
        await write_entry(connection, act, at_ms=now_ms, account=by.account, role=by.role.value, what=what)


async def _check_room(connection: Any, name: bytes, state: FlagState, by: Grant) -> None:
    """Each firm may answer so often, and no answers keep anybody from deciding."""
    column = tables.flag_words.c
    said = select(func.count()).where(column.flag_id == name)
    is_answer = column.word == FlagState.EXPLAINED.value
    if state is FlagState.EXPLAINED:
        if (await connection.execute(said.where(is_answer, column.firm == by.firm))).scalar_one() >= ANSWERS_MAX:
            raise FlagRefused(409, f"your firm has answered {ANSWERS_MAX} times; settle the rest in person")
    elif (await connection.execute(said.where(~is_answer))).scalar_one() >= DECISIONS_MAX:
        raise FlagRefused(409, f"this was decided {DECISIONS_MAX} times; settle the rest in person")


async def _views(connection: Any, rows: Sequence[Any]) -> Sequence[FlagView]:
    said = await _words(connection, {row.flag_id for row in rows})
    return [_view(row, said.get(row.flag_id, ())) for row in rows]


async def _words(connection: Any, flags: Collection[bytes]) -> Mapping[bytes, Sequence[FlagWord]]:
    column, found = tables.flag_words.c, dict[bytes, list[FlagWord]]()
    if not flags:
        return found
    query = select(tables.flag_words).where(column.flag_id.in_(flags)).order_by(column.flag_id, column.number)
    for row in await connection.execute(query):
        word = FlagWord(
            state=FlagState(row.word), says=row.says, role=row.role, firm=row.firm, said_at_ms=row.said_at_ms
        )  # fmt: skip
        found.setdefault(row.flag_id, []).append(word)
    return found


def _view(row: Any, words: Sequence[FlagWord]) -> FlagView:
    facts = json.loads(row.facts)
    return FlagView(
        name=row.flag_id.hex(),
        visit=row.digest,
        other=row.other,
        device=row.device,
        kind=row.kind,
        grave=bool(row.grave),
        raised_at_ms=row.raised_at_ms,
        reason=says(row.kind, facts.pop("why"), facts),
        words=tuple(words),
    )


def _age(flag: FlagView) -> tuple[int, str]:
    return flag.raised_at_ms, flag.name
