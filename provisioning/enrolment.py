"""Enrolling a gateway: its public identity, its claim code, and what must fit before anyone proposes it.

The proof of possession itself is the gateway's checkpoint of size 1, whose `epoch.open` entry carries the claim code:
the cloud compares it with the digest in the claims file, and the Registry holds the key that must have signed it.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from contracts.errors import ContractsError
from contracts.p256 import spki
from provisioning.errors import EnrolmentError
from provisioning.site import Site

__all__ = ["KEY_CLASSES", "GatewayIdentity", "check_claim", "claims_file", "parse_identity"]

KEY_CLASSES = {"file": 1, "token": 2, "attested": 3}
_IDENTITY_BYTES_MAX = 4096
_KEYS = {"origin", "public", "class", "claim_code", "spki", "fingerprint"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayIdentity:
    """What `minglou edge identity` prints on the gateway."""

    origin: str
    public: bytes  # 64 bytes x || y
    key_class: str  # file, token, attested
    claim_code: str
    fingerprint: str  # SHA-256 of the DER SPKI, hex


def parse_identity(text: str) -> GatewayIdentity:
    """The identity that a gateway printed.

    Raises:
        EnrolmentError: it is not whole, or its parts contradict each other.
    """
    if len(text.encode()) > _IDENTITY_BYTES_MAX:
        raise EnrolmentError(
            f"gateway identity is longer than {_IDENTITY_BYTES_MAX} bytes; copy what `minglou edge identity` prints"
        )
    try:
        document = json.loads(text)
        if not isinstance(document, dict) or not document.keys() >= _KEYS:
            raise ValueError(f"needs the keys {', '.join(sorted(_KEYS))}")
        words = {key: str(document[key]) for key in _KEYS}
        public = bytes.fromhex(words["public"])
        der = spki(public)
    except (ValueError, ContractsError) as error:
        raise EnrolmentError(
            f"gateway identity is damaged ({error}); copy what `minglou edge identity` prints, as a whole"
        ) from error
    if der.hex() != words["spki"] or sha256(der).hexdigest() != words["fingerprint"]:
        raise EnrolmentError(
            "gateway identity: key, SPKI and fingerprint do not belong together; read it from the gateway again"
        )
    if words["class"] not in KEY_CLASSES:
        raise EnrolmentError(
            f"gateway identity: key class {words['class']!r} is none of {', '.join(KEY_CLASSES)}; update the gateway"
        )
    return GatewayIdentity(
        origin=words["origin"],
        public=public,
        key_class=words["class"],
        claim_code=words["claim_code"],
        fingerprint=words["fingerprint"],
    )


def check_claim(identity: GatewayIdentity, site: Site, shown_code: str) -> None:
    """Refuse an identity that the installer's claim code or the site file does not fit.

    Args:
        shown_code: what the installer read from the gateway's own screen or status page.

    Raises:
        EnrolmentError: another gateway's code, or a log that the site file does not know.
    """
    origins = [site.origin(gateway) for gateway in site.gateways]
    if identity.origin not in origins:
        raise EnrolmentError(
            f"gateway {identity.origin} is not in the site file ({', '.join(origins)}); "
            "correct its settings or add it there"
        )
    if not hmac.compare_digest(identity.claim_code.encode(), shown_code.strip().encode()):
        raise EnrolmentError(
            f"gateway {identity.origin}: the claim code does not fit this identity; read both from the same gateway"
        )


def claims_file(identities: Iterable[GatewayIdentity]) -> str:
    """The cloud's claims file: digests only, so that reading it lets nobody claim a gateway."""
    return json.dumps({one.origin: sha256(one.claim_code.encode()).hexdigest() for one in identities}, indent=1) + "\n"
