"""Signed visits for the tests of every room."""

from hashlib import sha256
from typing import Any

from contracts import p256
from contracts.entry import device_id
from contracts.signed_visit import SignedVisit, sign_visit, signed_visit_to_json
from contracts.visit import NOBODY, Visit, VisitClass

CHAIN_ID = 31337
CONTRACT = "0x" + "c1" * 20
LIFT = "urn:minglou:site:b01:lift:l1"
MECHANIC, OTHER, MANAGER = (p256.key_from_secret(secret) for secret in (101, 102, 103))
ALIASES = {key: sha256(p256.public_bytes(key)).digest() for key in (MECHANIC, OTHER, MANAGER)}

VISIT_STAGES = (
    (0, "inspection", 0),
    (5, "inspection", 2),
    (10, "inspection", 3),
    (15, "out_of_service", 0),
    (18, "inspection", 0),
    (25, "inspection", 3),
    (30, "inspection", 1),
    (35, "normal", 0),
)
"""A visit as a lift's module reports it: after so many minutes the mode, and door cycles since the last report."""


def visit_of(
    started_at_s: int, *, minutes: int = 35, urn: str = LIFT, salt: int = 1,
    mechanics: tuple[p256.PrivateKey, ...] = (MECHANIC,), manager: p256.PrivateKey | None = None,
) -> Visit:  # fmt: skip
    """A half-month visit."""
    return Visit(
        device=device_id(urn),
        plan=sha256(b"plan").digest(),
        visit_class=VisitClass.HALF_MONTH,
        checklist=sha256(b"checklist").digest(),
        started_at_s=started_at_s,
        ended_at_s=started_at_s + minutes * 60,
        presence=NOBODY,
        mechanics=tuple(ALIASES[key] for key in mechanics),
        manager=ALIASES[manager] if manager else NOBODY,
        salt=salt.to_bytes(16),
    )


def signed(
    visit: Visit,
    *keys: p256.PrivateKey,
    chain_id: int = CHAIN_ID,
    contract: str = CONTRACT,
    deadline: int | None = None,
) -> SignedVisit:
    """The visit as its crew signs it; for a day unless a deadline is given."""
    until = visit.ended_at_s + 86_400 if deadline is None else deadline
    return sign_visit(visit, keys or (MECHANIC,), chain_id=chain_id, contract=contract, nonce=7, deadline=until)


def mailed(number: int, visit: SignedVisit) -> dict[str, Any]:
    """The message that carries it."""
    return {"number": number, "kind": "visit", "body": signed_visit_to_json(visit), "signature": None}
