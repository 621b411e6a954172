"""A visit with its signatures: the file that a crew's phone makes and that anyone may relay.

It carries the record, every signer's public key and person signature, and the chain and contract they signed for.
Whether a key is a crew's, from when to when, for which duties, and from which web origin a passkey may sign is the
Registry's knowledge and the contract's check; what is checked here needs no chain: the form, and that each signature is
that of the key beside it over this very visit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from contracts import p256
from contracts.errors import ContractsError
from contracts.fields import Fields, parse_json
from contracts.person import (
    AUTHENTICATOR_DATA_MAX,
    CLIENT_DATA_MAX,
    KeyKind,
    PersonSignature,
    Purpose,
    challenge_text,
    key_id_of,
    person_digest,
    sign_software,
)
from contracts.visit import NOBODY, Visit, VisitError, visit_from_json, visit_to_json

FORMAT = "minglou-signed-visit/1"
SIGNED_VISIT_BYTES_MAX = 16 * 1024
KIND_NAMES = {KeyKind.WEBAUTHN: "passkey", KeyKind.SOFTWARE: "software"}
"""How the file names the two kinds of key."""

SIGNATURE_KEYS = ("key", "kind", "nonce", "deadline", "signature", "authenticator_data", "client_data")

_KIND_OF = {name: kind for kind, name in KIND_NAMES.items()}
_SIGNERS_MAX = 3
_NUMBER_END = 2**64
_NONCE_END = 2**48  # crew_signature.vy's lane
_AUTHENTICATOR_DATA_MIN = 37
_CROSS_ORIGIN = b',"crossOrigin":'
_PRESENT_AND_VERIFIED = 5  # user present, user verified (WebAuthn level 3, section 6.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitSignature:
    """One signer's key and signature."""

    public: bytes  # x || y
    kind: KeyKind
    signature: PersonSignature


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedVisit:
    """A visit as it travels. Signatures stand in the record's order: the mechanics, then the site manager if any."""

    chain_id: int
    contract: str  # 0x…, lower case: the maintenance contract that the signers named
    visit: Visit
    signatures: tuple[VisitSignature, ...]

    def __post_init__(self) -> None:
        signers = len(self.visit.mechanics) + (self.visit.manager != NOBODY)
        if len(self.signatures) != signers:
            raise VisitError(f"visit: {len(self.signatures)} signatures; the record names {signers} people")
        if len({signature.public for signature in self.signatures}) != signers:
            raise VisitError("visit: one key signs twice; each person signs with a key of his own")

    def purposes(self) -> Sequence[Purpose]:
        """What each signature is for, in their order."""
        return [Purpose.VISIT] * len(self.visit.mechanics) + [Purpose.COUNTERSIGN_VISIT]


def sign_visit(
    visit: Visit, keys: Sequence[p256.PrivateKey], *, chain_id: int, contract: str, nonce: int, deadline: int
) -> SignedVisit:
    """The visit signed with software keys, one for each person of the record, in its order."""
    purposes = [Purpose.VISIT] * len(visit.mechanics) + [Purpose.COUNTERSIGN_VISIT]
    signatures = [
        sign_software(
            key,
            chain_id=chain_id,
            contract=contract,
            purpose=purpose,
            nonce=nonce,
            deadline=deadline,
            body_digest=visit.digest(),
        )
        for key, purpose in zip(keys, purposes, strict=False)
    ]
    return SignedVisit(
        chain_id=chain_id,
        contract=contract.lower(),
        visit=visit,
        signatures=tuple(
            VisitSignature(public=p256.public_bytes(key), kind=KeyKind.SOFTWARE, signature=signature)
            for key, signature in zip(keys, signatures, strict=True)
        ),
    )


def verify_signed_visit(signed: SignedVisit) -> None:
    """Check that every signature is that of the key beside it, over this visit, chain and contract.

    Deadlines are not checked: they bound when a contract may still take the signature, not whether it was given.

    Raises:
        VisitError: a signature is another key's, for another visit, or not made as its kind makes them.
    """
    for number, (one, purpose) in enumerate(zip(signed.signatures, signed.purposes(), strict=False), start=1):
        try:
            verify_signature(
                one, chain_id=signed.chain_id, contract=signed.contract, purpose=purpose,
                body_digest=signed.visit.digest(),
            )  # fmt: skip
        except VisitError:
            raise
        except ContractsError as error:
            raise VisitError(f"visit: signature {number} ({purpose.value[0]}) does not hold: {error}") from error


def signed_visit_to_json(signed: SignedVisit) -> dict[str, Any]:
    """The file's JSON object, which is also the body of a `visit` message."""
    return {
        "format": FORMAT,
        "chain_id": str(signed.chain_id),
        "contract": signed.contract,
        "visit": visit_to_json(signed.visit),
        "signatures": [signature_to_json(one) for one in signed.signatures],
    }


def signature_to_json(one: VisitSignature) -> dict[str, Any]:
    """One signer's key and signature, as files hold them."""
    return {
        "key": one.public.hex(),
        "kind": KIND_NAMES[one.kind],
        "nonce": str(one.signature.nonce),
        "deadline": str(one.signature.deadline),
        "signature": (one.signature.r.to_bytes(32) + one.signature.s.to_bytes(32)).hex(),
        "authenticator_data": one.signature.authenticator_data.hex(),
        "client_data": one.signature.client_data.hex(),
    }


def parse_signed_visit(encoded: bytes) -> SignedVisit:
    """The signed visit of a JSON file; its signatures are not verified yet.

    Raises:
        VisitError: over 16 KB, not JSON, a field missing, unknown or misspelt, or a record that breaks a rule.
    """
    value = parse_json(encoded, length_max=SIGNED_VISIT_BYTES_MAX, what="signed visit", refuse=VisitError)
    return signed_visit_from_json(value)


def signed_visit_from_json(value: object) -> SignedVisit:
    """The signed visit of a JSON object; its signatures are not verified yet. Raises `VisitError`."""
    keys = ("format", "chain_id", "contract", "visit", "signatures")
    fields = Fields(value, place="", keys=keys, refuse=VisitError)
    fields.choice("format", (FORMAT,))
    return SignedVisit(
        chain_id=fields.decimal("chain_id", start=1, end=_NUMBER_END),
        contract="0x" + fields.octets("contract", 20, prefix="0x").hex(),
        visit=visit_from_json(fields.raw("visit"), place="visit"),
        signatures=tuple(
            signature_from_fields(one) for one in fields.each_within("signatures", _SIGNERS_MAX, *SIGNATURE_KEYS)
        ),
    )


def signature_from_fields(fields: Fields) -> VisitSignature:
    """One signer's key and signature, of an object with `SIGNATURE_KEYS`. Raises the fields' error, or `VisitError`."""
    public, rs = fields.octets("key", p256.PUBLIC_BYTES), fields.octets("signature", p256.SIGNATURE_BYTES)
    kind = _KIND_OF[fields.choice("kind", tuple(_KIND_OF))]
    return VisitSignature(
        public=public,
        kind=kind,
        signature=PersonSignature(
            key_id=key_id_of(public),
            nonce=fields.decimal("nonce", end=_NONCE_END),
            deadline=fields.decimal("deadline", end=_NUMBER_END),
            r=int.from_bytes(rs[:32]),
            s=int.from_bytes(rs[32:]),
            authenticator_data=_octets_up_to(fields, "authenticator_data", AUTHENTICATOR_DATA_MAX),
            client_data=_octets_up_to(fields, "client_data", CLIENT_DATA_MAX),
        ),
    )


def verify_signature(
    one: VisitSignature, *, chain_id: int, contract: str, purpose: Purpose, body_digest: bytes
) -> None:
    """Check one signature as `person.vy` does, but for the relying party and origin, which only the chain knows.

    Raises:
        VisitError: not made as its kind makes them, or asked for something else.
        KeyFormatError, SignatureError: another key's, or over other words.
    """
    signature = one.signature
    digest = person_digest(
        chain_id=chain_id, contract=contract, purpose=purpose, key_id=signature.key_id, nonce=signature.nonce,
        deadline=signature.deadline, body_digest=body_digest,
    )  # fmt: skip
    rs = signature.r.to_bytes(32) + signature.s.to_bytes(32)
    if one.kind is KeyKind.SOFTWARE:
        if signature.authenticator_data or signature.client_data:
            raise VisitError("visit: a software key's signature carries no passkey's data")
        p256.verify_digest(one.public, sha256(digest).digest(), rs)
        return
    _check_passkey_data(signature, digest)
    signed = signature.authenticator_data + sha256(signature.client_data).digest()
    p256.verify_digest(one.public, sha256(signed).digest(), rs)


def _check_passkey_data(signature: PersonSignature, digest: bytes) -> None:
    data = signature.authenticator_data
    if len(data) < _AUTHENTICATOR_DATA_MIN or data[32] & _PRESENT_AND_VERIFIED != _PRESENT_AND_VERIFIED:
        raise VisitError("visit: the passkey did not say that its person was present and verified")
    begin = f'{{"type":"webauthn.get","challenge":"{challenge_text(digest)}","origin":"'
    if not signature.client_data.startswith(begin.encode()):
        raise VisitError("visit: the passkey was asked to sign something else than this visit")
    rest = signature.client_data[len(begin) :].partition(b'"')[2]
    is_foreign = rest.startswith(_CROSS_ORIGIN) and not rest.startswith(_CROSS_ORIGIN + b"false")
    if rest[:1] not in (b",", b"}") or is_foreign:
        raise VisitError("visit: the passkey was asked from within another site's page")


def _octets_up_to(fields: Fields, name: str, length_max: int) -> bytes:
    length = len(fields.text(name)) // 2
    if length > length_max:
        raise VisitError(f"{name} has {length} bytes; contracts take {length_max}")
    return fields.octets(name, length)
