"""Meter swaps on their way to Bindings: the installer's half beside its visit, the owner's half added, the act relayed.

Nothing here makes a binding: the contract asks for both signatures and whose keys they are. What is refused here is
what no contract could know: a swap that its visit does not note, and one that the gateway's own readings speak against.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

from sqlalchemy import select, update

from cloud.chain.view import ChainView
from cloud.store import Store, tables
from cloud.visits.letters import find_judgement
from cloud.visits.room import VisitRefused
from cloud.visits.verdicts import verdict_of
from cloud.web.swap_answers import Register, Standing
from contracts.calls.bindings import ROLE_OWN
from contracts.checklist import Checklist, checklist_from_json
from contracts.errors import ContractsError
from contracts.meter_swap import (
    FORMAT,
    SignedMeterSwap,
    format_meter_swap,
    number_of,
    parse_meter_swap,
    verify_meter_swap,
)

__all__ = ["KeptSwap", "SwapRoom"]

CLOSING, OPENING, EXCHANGE = "closing-register", "opening-register", "exchange"
"""The rules of a meter's profile that a gateway judges a swap by."""

_CLOSING_ITEM, _OPENING_ITEM = "MS-02", "MS-06"  # of the meter-swap pack: the photographs of both displays


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSwap:
    """A swap with all that is known of it."""

    signed: SignedMeterSwap
    standing: Standing
    closing: Register
    opening: Register
    exchange: str
    ended_at_s: int
    entry: tuple[str, int] | None  # origin and index of the visit's entry
    act: bytes | None  # the relayed act's name


class Deployed(Protocol):
    """What of a deployment a swap names."""

    @property
    def chain_id(self) -> int: ...
    @property
    def bindings(self) -> str: ...


class SwapRoom:
    """Takes and finds swaps."""

    def __init__(self, store: Store, view: ChainView, deployment: Deployed) -> None:
        self._store = store
        self._view = view
        self._deployment = deployment

    async def take(self, visit: bytes, encoded: bytes) -> SignedMeterSwap:
        """Keep the installer's half of a swap beside its visit; the same one again is harmless.

        Raises:
            VisitRefused: no such visit, not what its list notes, not its crew's key, or no binding to renew.
        """
        try:
            signed = parse_meter_swap(encoded)
            verify_meter_swap(signed)
        except ContractsError as error:
            raise VisitRefused(400, "malformed", f"{error}; send one {FORMAT}") from error
        async with self._store.write() as connection:
            row = await _row_of(connection, visit)
            if row is None:
                raise VisitRefused(
                    404, "unknown_visit", "no such visit was handed in here; POST it to /v1/visits first"
                )
            if row.swap is not None and parse_meter_swap(row.swap.encode()) == signed:
                return signed  # its phone never heard that it is here; by now the binding may be renewed
            self._check_place(visit, signed)
            _check_noted(row, signed)
            if row.swap_act is not None:
                raise VisitRefused(409, "already_signed", "the owner has signed this swap already")
            text = format_meter_swap(signed).decode()
            await connection.execute(update(tables.visits).where(tables.visits.c.digest == visit).values(swap=text))
        return signed

    async def find(self, connection: Any, visit: bytes) -> KeptSwap | None:
        """A swap by its visit's digest; None where there is none."""
        row = await _row_of(connection, visit)
        return None if row is None or row.swap is None else await self._kept(connection, row)

    def devices_of(self, subject: bytes) -> list[bytes]:
        """The meters that count for a unit or did so last: by these its swaps are found."""
        return [device for device, records in self._view.bindings.items() if records[-1].subject == subject]

    async def of_unit(self, connection: Any, subject: bytes) -> Sequence[KeptSwap]:
        """The swaps of a unit's meters, the newest first."""
        devices = self.devices_of(subject)
        column = tables.visits.c
        query = (
            select(tables.visits)
            .where(column.device.in_(devices), column.swap.is_not(None))
            .order_by(column.started_at_s.desc())
        )
        kept = [await self._kept(connection, row) for row in (await connection.execute(query)).all()]
        return [one for one in kept if one.signed.file.subject == subject]

    async def opening_of(self, connection: Any, subject: bytes, device: bytes) -> int:
        """The register that a meter's binding began with, by the swap that hung it up; 0 (not read) where none did."""
        column = tables.visits.c
        query = select(column.swap).where(column.device.in_(self.devices_of(subject)), column.swap.is_not(None))
        for text in (await connection.execute(query)).scalars():
            noted = parse_meter_swap(text.encode()).file.noted
            if noted.new == device:
                return noted.opening
        return 0

    async def note_act(self, visit: bytes, act: bytes) -> None:
        """Remember under which name the owner's half went to the chain."""
        async with self._store.write() as connection:
            await connection.execute(update(tables.visits).where(tables.visits.c.digest == visit).values(swap_act=act))

    async def _kept(self, connection: Any, row: Any) -> KeptSwap:
        signed = parse_meter_swap(row.swap.encode())
        entry = await find_judgement(connection, row)
        told = await verdict_of(connection, entry) if entry is not None else {}
        noted = signed.file.noted
        closing = _register(told, CLOSING, noted.closing)
        opening = _register(told, OPENING, noted.opening)
        exchange = _word(told, EXCHANGE)
        words = (closing.word, opening.word, exchange)
        return KeptSwap(
            signed=signed,
            standing=self._standing(signed, words, is_judged=entry is not None, is_relayed=row.swap_act is not None),
            closing=closing, opening=opening, exchange=exchange, ended_at_s=row.ended_at_s,
            entry=None if entry is None else (entry.origin, entry.entry_index), act=row.swap_act,
        )  # fmt: skip

    def _standing(
        self, signed: SignedMeterSwap, words: Sequence[str], *, is_judged: bool, is_relayed: bool
    ) -> Standing:
        file = signed.file
        if any(
            (record.subject, record.from_date) == (file.subject, number_of(file.noted.day))
            for record in self._view.bindings.get(file.noted.new, ())
        ):
            return Standing.DONE
        if is_relayed:
            return Standing.RELAYED
        if not is_judged:
            return Standing.WAITING
        return Standing.AGAINST if {"contradicted", "not-seen", "unjudged"} & set(words) else Standing.TO_CONFIRM

    def _check_place(self, visit: bytes, signed: SignedMeterSwap) -> None:
        file, at = signed.file, self._deployment
        if file.visit != visit:
            raise VisitRefused(422, "wrong_visit", "it is signed beside another visit")
        if (file.chain_id, file.contract) != (at.chain_id, at.bindings.lower()):
            says = f"it is signed for {file.contract} on chain {file.chain_id}; this site's is {at.bindings}"
            raise VisitRefused(422, "wrong_contract", f"{says} on {at.chain_id}")
        held = self._view.bindings.get(file.noted.old, ())
        present = held[-1] if held else None
        wanted = (file.subject, ROLE_OWN, number_of(file.old_from), 0)
        if present is None or (present.subject, present.role, present.from_date, present.to_date) != wanted:
            says = "the old meter does not count for this unit from that day on; look at its binding on chain"
            raise VisitRefused(422, "no_binding", says)


async def _row_of(connection: Any, visit: bytes) -> Any:
    return (await connection.execute(select(tables.visits).where(tables.visits.c.digest == visit))).one_or_none()


def _check_noted(row: Any, signed: SignedMeterSwap) -> None:
    """The swap must be the one that the visit's crew signed in its list, with its photographs, by one of its keys."""
    file = signed.file
    checklist = None if row.checklist is None else checklist_from_json(json.loads(row.checklist))
    if checklist is None or checklist.meter != file.noted:
        raise VisitRefused(422, "not_noted", "the visit's list notes another swap, or none")
    photos = {code: _photos_of(checklist, code) for code in (_CLOSING_ITEM, _OPENING_ITEM)}
    if file.closing_photo not in photos[_CLOSING_ITEM] or file.opening_photo not in photos[_OPENING_ITEM]:
        raise VisitRefused(422, "wrong_photo", "the photographs are not those of the list's two registers")
    keys = {sha256(bytes.fromhex(one["key"])).digest() for one in json.loads(row.file)["signatures"]}
    if sha256(signed.installer.public).digest() not in keys:
        raise VisitRefused(403, "unknown_crew", "the swap is signed by nobody who signed the visit")


def _photos_of(checklist: Checklist, code: str) -> set[bytes]:
    return {checklist.photos[at].sha256 for tick in checklist.items if tick.code == code for at in tick.photos}


def _register(told: Mapping[str, Any], rule: str, noted: int) -> Register:
    facts = told.get("facts", {}).get(rule, {})
    read = noted - facts["difference"] if "difference" in facts else None
    return Register(noted=noted, read=read, read_at_ms=facts.get("read_at_ms"), word=_word(told, rule))


def _word(told: Mapping[str, Any], rule: str) -> str:
    found = told.get("verdict", {}).get("items", {})
    return str(found.get(rule, "unjudged"))
