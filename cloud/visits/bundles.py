"""Bundles as rows: what the store keeps of one, and what its gateway's mail makes of that again."""

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from contracts.bundle import FORMAT, Bundle, bundle_from_json
from contracts.signed_visit import signed_visit_to_json

__all__ = ["body_of", "bundle_of", "photos_named", "signer_rows", "texts_of"]


def texts_of(bundle: Bundle) -> dict[str, str | None]:
    """Visit, list and proof as the row of `visits` holds them; None for what was not handed in."""
    return {
        "file": json.dumps(signed_visit_to_json(bundle.signed), separators=(",", ":")),
        "checklist": None if bundle.checklist is None else bundle.checklist.encode().decode(),
        "presence": None if bundle.presence is None else bundle.presence.encode().decode(),
    }


def signer_rows(bundle: Bundle) -> Sequence[dict[str, Any]]:
    """A row of `visit_signers` for each signature."""
    phones = {} if bundle.presence is None else {phone.by: phone for phone in bundle.presence.phones}
    rows = []
    for position, one in enumerate(bundle.signed.signatures):
        phone = phones.get(position)
        rows.append(
            {
                "digest": bundle.visit.digest(),
                "position": position,
                "signer": sha256(one.public).digest(),
                "started_at_s": bundle.visit.started_at_s,
                "phone": phone and phone.id,
                "number": phone and phone.number,
                "previous": phone and phone.previous,
            }
        )
    return rows


def body_of(row: Any) -> dict[str, Any]:
    """The bundle of a row of `visits`, or the bare visit that came, as JSON."""
    signed: dict[str, Any] = json.loads(row.file)
    if row.checklist is None:
        return signed
    body = {"format": FORMAT, "signed": signed, "checklist": json.loads(row.checklist)}
    return body if row.presence is None else {**body, "presence": json.loads(row.presence)}


def bundle_of(row: Any) -> Bundle:
    """The bundle of a row of `visits`. Raises `VisitError` for a row that nobody took in here."""
    return bundle_from_json(body_of(row))


def photos_named(row: Any) -> Sequence[dict[str, Any]]:
    """What the kept list of a row of `visits` says of each photograph: `sha256`, `dhash`, `at`, `bytes`, `type`."""
    return () if row.checklist is None else json.loads(row.checklist)["photos"]
