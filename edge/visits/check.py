"""Whether a message is a visit that this gateway may judge. Imported when the first one comes: what it needs to hash a
record as contracts do costs a second of import, several on a small board.
"""

from collections.abc import Collection, Mapping
from typing import Any

from contracts.bundle import Bundle, bundle_from_json
from contracts.signed_visit import verify_signed_visit
from contracts.visit import Visit
from edge.errors import VisitRefusedError
from edge.visits.judge import TOLERANCE_MS
from edge.visits.sightings import KEPT_MS


def check_visit(body: Mapping[str, Any], *, chain_id: int, contract: str, devices: Collection[bytes]) -> Bundle:
    """The visit of a message's body, whose signatures hold, with the list and the presence proof that it brings.

    Args:
        body: a bundle, or a bare signed visit.
        contract: whose visits are judged here, 0x… in lower case.
        devices: those of which this gateway can see a visit.

    Raises:
        ContractsError: not one whole, signed visit, or a list or proof that is not the one it was signed over.
        VisitRefusedError: a visit for another chain, contract or gateway.
    """
    bundle = bundle_from_json(dict(body))
    signed, visit = bundle.signed, bundle.visit
    if (signed.chain_id, signed.contract) != (chain_id, contract):
        raise VisitRefusedError(
            f"it is signed for {signed.contract} on chain {signed.chain_id}, not for {contract} on {chain_id}"
        )
    if visit.device not in devices:
        raise VisitRefusedError(f"device {visit.device.hex()[:16]}… is none that this gateway can see a visit of")
    verify_signed_visit(signed)
    return bundle


def doubt_about(visit: Visit, now_ms: int) -> str:
    """Why a visit cannot be judged by this clock: it is still to come, or too old; empty where it can.

    One of the two clocks is wrong then, and nobody can tell from the visit which one.
    """
    if visit.ended_at_s * 1000 > now_ms + TOLERANCE_MS:
        return f"it ends at {visit.ended_at_s}, which is still to come; check the phone's clock"
    if visit.started_at_s * 1000 < now_ms - KEPT_MS:
        return f"it began at {visit.started_at_s}, over 60 days ago; what was seen then is kept no more"
    return ""
