"""Facts of kept visits: what the rules ask, out of the store's rows, lists, proofs and verdicts."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import select

from cloud.directory import DirectoryFile
from cloud.integrity.facts import LabelWord, Phone, Photo, Scan, VerdictFacts, VisitFacts
from cloud.integrity.travel import cell_of
from cloud.store import tables
from cloud.visits.bundles import bundle_of
from cloud.visits.letters import find_judgements
from cloud.visits.packs import pack_of
from cloud.visits.pictures import shapes_from_bytes
from cloud.visits.verdicts import verdict_of
from contracts.bundle import Bundle
from contracts.errors import ContractsError
from contracts.rotating import token_text

__all__ = ["Cells", "Labels", "cells_of", "labels_of", "load_facts", "no_labels", "verdict_facts"]

Cells = Callable[[bytes], tuple[int, int] | None]
"""Where a device's building is: its cell of a hundredth of a degree."""

Labels = Callable[[bytes, bytes, int], LabelWord | None]
"""What a printed label is to a device, by both hashes, at an instant (s); None where nobody can tell."""

_INSPECTION = "inspection-mode"
_NOT_OBSERVABLE = "not-observable"


def cells_of(directory: DirectoryFile) -> Cells:
    """As the site's directory has them; None for a building without a place."""

    def cell(device: bytes) -> tuple[int, int] | None:
        text = directory.read().cell_of(device)
        return None if text is None else cell_of(text)

    return cell


def labels_of(directory: DirectoryFile, bound: Callable[[bytes], tuple[bytes, int | None] | None]) -> Labels:
    """As the chain has them bound; those that are not bound yet as the site's directory has them.

    Args:
        bound: the device that a label's digest is bound to on chain, and since when (s) it is revoked, if it is.
    """

    def word(device: bytes, label: bytes, at_s: int) -> LabelWord | None:
        site, held = directory.read(), bound(label)
        if held is None:
            printed = site.label_of(label)
            if printed is None:
                # A site that names no label cannot tell.
                return LabelWord.UNKNOWN if any(one.labels for one in site.devices) else None
            held = (printed[0].device, None)
        carrier, revoked_at_s = site.device_of(held[0]), held[1]
        if revoked_at_s is not None and revoked_at_s <= at_s:
            return LabelWord.WITHDRAWN
        is_own = held[0] == device or (carrier is not None and carrier.of == device)
        return LabelWord.ITS_OWN if is_own else LabelWord.OTHERS

    return word


def no_labels(_device: bytes, _label: bytes, _at_s: int) -> None:
    """Where nothing is known of labels."""


async def load_facts(
    connection: Any,
    rows: Sequence[Any],
    *,
    cells: Cells,
    labels: Labels = no_labels,
    judged: Collection[bytes] | None = None,
) -> Sequence[VisitFacts]:
    """Facts of these rows of `visits`, in their order.

    Args:
        judged: digests whose verdicts are asked for; None: of all.
    """
    asked = [row for row in rows if judged is None or row.digest in judged]
    entries = await find_judgements(connection, asked)
    verdicts = {
        digest: verdict_facts(entry.value, await verdict_of(connection, entry)) for digest, entry in entries.items()
    }
    pictures = await _pictures(connection, [row.digest for row in rows])
    bundles = await asyncio.to_thread(lambda: [bundle_of(row) for row in rows])
    return [
        _facts(row, bundle, cells(row.device), labels, verdicts.get(row.digest), pictures.get(row.digest, {}))
        for row, bundle in zip(rows, bundles, strict=True)
    ]


async def _pictures(connection: Any, visits: Sequence[bytes]) -> Mapping[bytes, Mapping[bytes, Any]]:
    column, found = tables.visit_files.c, dict[bytes, dict[bytes, Any]]()
    if visits:
        for row in await connection.execute(select(tables.visit_files).where(column.digest.in_(visits))):
            found.setdefault(row.digest, {})[row.sha256] = row
    return found


def _facts(
    row: Any,
    bundle: Bundle,
    cell: tuple[int, int] | None,
    labels: Labels,
    verdict: tuple[VerdictFacts, tuple[tuple[int, int], ...]] | None,
    pictures: Mapping[bytes, Any],
) -> VisitFacts:
    visit, presence = bundle.visit, bundle.presence
    ticks = bundle.checklist.items if bundle.checklist else ()
    return VisitFacts(
        digest=row.digest,
        device=row.device,
        cell=cell,
        visit_class=row.visit_class,
        started_at_s=row.started_at_s,
        ended_at_s=row.ended_at_s,
        signers=tuple(one.signature.key_id for one in bundle.signed.signatures),
        mechanics=len(visit.mechanics),
        scans=() if presence is None else tuple(_scan(scan, row.device, labels) for scan in presence.scans),
        phones=()
        if presence is None
        else tuple(Phone(by=one.by, name=one.id, number=one.number, previous=one.previous) for one in presence.phones),
        photos=_photos(bundle, pictures, row.looked_at_ms),
        items=len(ticks),
        left_away=sum(not tick.result.is_done for tick in ticks),
        lacks_challenge=_lacks_challenge(bundle),
        work=verdict[1] if verdict else (),
        verdict=verdict[0] if verdict else None,
    )


def _scan(scan: Any, device: bytes, labels: Labels) -> Scan:
    moment = scan.moment
    return Scan(
        by=scan.by,
        sense=scan.sense,
        place=scan.place.name.lower(),
        at_s=scan.at_s,
        slot=moment.slot if moment else None,
        token=token_text(moment.token) if moment else "",
        label=None if scan.label is None else labels(device, scan.label, scan.at_s),
    )


def _photos(bundle: Bundle, pictures: Mapping[bytes, Any], looked_at_ms: int) -> tuple[Photo, ...]:
    """As the list names them, with what the cloud saw of those that are here."""
    found = []
    for photo in bundle.checklist.photos if bundle.checklist else ():
        here = pictures.get(photo.sha256)
        dhash = photo.dhash if here is None else here.dhash
        turned, parts = ((), ()) if here is None else shapes_from_bytes(here.shapes)
        is_new = looked_at_ms == 0 if here is None else here.stored_at_ms >= looked_at_ms
        found.append(
            Photo(
                sha256=photo.sha256, dhash=int.from_bytes(dhash), at_s=photo.at_s, turned=turned, parts=parts,
                is_new=is_new,
            )
        )  # fmt: skip
    return tuple(found)


def _lacks_challenge(bundle: Bundle) -> bool:
    """Whether a display's code drew items of which the list has no photograph."""
    pack = pack_of(bundle.visit.plan)
    token = bundle.presence.first_token() if bundle.presence else None
    if bundle.checklist is None or pack is None or token is None:
        return False
    try:
        return bool(bundle.checklist.unanswered(token, pack))
    except ContractsError:
        return False


def verdict_facts(level: int, detail: Mapping[str, Any]) -> tuple[VerdictFacts, tuple[tuple[int, int], ...]]:
    """What the rules ask of a verdict's detail, and the stretches of work that it rests on, in seconds."""
    facts, verdict = _object(detail, "facts"), _object(detail, "verdict")
    presence, inspection = _object(facts, "presence"), _object(facts, _INSPECTION)
    is_seen = _object(verdict, "items").get(_INSPECTION, _NOT_OBSERVABLE) != _NOT_OBSERVABLE
    signers = presence.get("signers")
    found = VerdictFacts(
        level=level,
        presence=str(verdict.get("presence", _NOT_OBSERVABLE)),
        signers=tuple(map(str, signers)) if isinstance(signers, list) else (),
        dwell_s=_whole(presence.get("dwell_s")) or None,  # 0 where one code, or none, was right
        wrong=_whole(presence.get("wrong")) or 0,
        inspection_s=_whole(inspection.get("seconds")) if is_seen else None,
    )
    start, end = _whole(inspection.get("from_ms")), _whole(inspection.get("to_ms"))
    work = () if start is None or end is None else ((start // 1000, end // 1000),)
    return found, work


def _object(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
