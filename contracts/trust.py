"""Trust: the roots a verifier starts from. They never come from the evidence itself.

A deployment publishes `trust.json`; its short fingerprint hangs on the notice board and stands in each PDF bill.
"""

import base64
import json
from dataclasses import dataclass
from hashlib import sha256

from contracts.checkpoint import is_super_origin
from contracts.detail import canonical_json
from contracts.errors import TrustError
from contracts.fields import Fields, parse_json
from contracts.superlog import Witness, WitnessPolicy

FORMAT = "minglou-trust/1"
TRUST_BYTES_MAX = 65_536
WITNESSES_MAX = 32
_FINGERPRINT_BYTES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Which chain, which contracts, whose super-log, and how many of which witnesses."""

    chain_id: int
    registry: bytes  # contract addresses, 20 bytes
    anchor_log: bytes
    usage_fees: bytes
    super_log_origin: str
    super_log_public: bytes  # Ed25519
    witness_policy: WitnessPolicy

    def fingerprint(self) -> str:
        """80 bits of the SHA-256 of these roots, as four groups of four letters and digits, to compare by eye."""
        digest = sha256(canonical_json(_fields_of(self))).digest()[:_FINGERPRINT_BYTES]
        letters = base64.b32encode(digest).decode("ascii").lower()
        return "-".join(letters[at : at + 4] for at in range(0, 16, 4))


def parse_trust(encoded: bytes) -> Trust:
    """The roots in a trust file, which people may lay out as they like.

    Raises:
        TrustError: not JSON, a duplicate, missing, unknown or misspelt field, or a quorum above its witnesses.
    """
    value = parse_json(encoded, length_max=TRUST_BYTES_MAX, what="trust file", refuse=TrustError)
    keys = ("format", "chain_id", "registry", "anchor_log", "usage_fees", "super_log", "witness_policy")
    fields = Fields(value, place="", keys=keys, refuse=_refuse)
    fields.choice("format", (FORMAT,))
    super_log = fields.within("super_log", "origin", "key")
    if not is_super_origin(super_log.text("origin")):
        raise TrustError("trust file: super_log.origin is not HOST/log")
    return Trust(
        chain_id=fields.decimal("chain_id", start=1, end=2**64),
        registry=fields.octets("registry", 20, prefix="0x"),
        anchor_log=fields.octets("anchor_log", 20, prefix="0x"),
        usage_fees=fields.octets("usage_fees", 20, prefix="0x"),
        super_log_origin=super_log.text("origin"),
        super_log_public=super_log.octets("key", 32),
        witness_policy=_parse_policy(fields.within("witness_policy", "quorum", "witnesses")),
    )


def format_trust(trust: Trust) -> bytes:
    """The trust file of these roots, laid out for people."""
    return json.dumps(_fields_of(trust), indent=2, ensure_ascii=False).encode() + b"\n"


def _parse_policy(policy: Fields) -> WitnessPolicy:
    witnesses = tuple(
        Witness(name=witness.text("name"), public=witness.octets("key", 32))
        for witness in policy.each_within("witnesses", WITNESSES_MAX, "name", "key")
    )
    quorum = policy.integer("quorum")
    if not 0 <= quorum <= len(witnesses):
        raise TrustError(f"trust file: quorum {quorum} of {len(witnesses)} witnesses can never be met")
    if len({witness.public for witness in witnesses}) != len(witnesses):
        raise TrustError("trust file: two witnesses share one key; each must have its own")
    return WitnessPolicy(quorum=quorum, witnesses=witnesses)


def _fields_of(trust: Trust) -> dict[str, object]:
    return {
        "format": FORMAT,
        "chain_id": str(trust.chain_id),
        "registry": "0x" + trust.registry.hex(),
        "anchor_log": "0x" + trust.anchor_log.hex(),
        "usage_fees": "0x" + trust.usage_fees.hex(),
        "super_log": {"origin": trust.super_log_origin, "key": trust.super_log_public.hex()},
        "witness_policy": {
            "quorum": trust.witness_policy.quorum,
            "witnesses": [{"name": w.name, "key": w.public.hex()} for w in trust.witness_policy.witnesses],
        },
    }


def _refuse(reason: str) -> TrustError:
    return TrustError(f"trust file: {reason}")
