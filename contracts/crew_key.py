"""A new key of somebody who serves a building, from the phone to the site's two parties: `minglou-crew-key/1`.

The phone makes the key and a random alias and signs the alias with the key: whoever enrols it knows that the phone
holds it. The signature names no chain and no contract, so it is good for nothing else. Whose key it is no file can
tell: the firm's office takes it from the person's hand.
"""

from dataclasses import dataclass

from contracts.errors import ContractsError
from contracts.fields import Fields, parse_json
from contracts.person import KeyKind, Purpose
from contracts.signed_visit import SIGNATURE_KEYS, VisitSignature, signature_from_fields, verify_signature

FORMAT = "minglou-crew-key/1"
CREW_KEY_BYTES_MAX = 4096
ORIGIN_LENGTH_MAX = 128
_NOWHERE = "0x" + "00" * 20
_BEFORE_ORIGIN = b'","origin":"'


class CrewKeyError(ContractsError):
    """A file is no key that can be enrolled; the message says what to ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCrewKey:
    """A key as its phone hands it out; `verify_crew_key` says whether the phone holds it."""

    alias: bytes  # 32 random bytes: the person's name in every record
    rp_id_hash: bytes  # SHA-256 of the host whose passkey it is, zero for a software key
    origin: str  # https://HOST of that passkey, empty for a software key
    proof: VisitSignature  # the key's own signature over the alias

    @property
    def public(self) -> bytes:
        """The key, 64 bytes x || y."""
        return self.proof.public

    @property
    def kind(self) -> KeyKind:
        """How it signs."""
        return self.proof.kind


def parse_crew_key(encoded: bytes) -> NewCrewKey:
    """The key in a file from anybody; its proof is not verified yet.

    Raises:
        CrewKeyError: over 4 KB, not JSON, a field missing, unknown or misspelt, or a site's name where none belongs.
    """
    value = parse_json(encoded, length_max=CREW_KEY_BYTES_MAX, what="crew key", refuse=CrewKeyError)
    fields = Fields(value, place="", keys=("format", "alias", "rp_id_hash", "origin", "proof"), refuse=CrewKeyError)
    fields.choice("format", (FORMAT,))
    try:
        proof = signature_from_fields(fields.within("proof", *SIGNATURE_KEYS))
    except CrewKeyError:
        raise
    except ContractsError as error:
        raise CrewKeyError(f"crew key: {error}") from error
    key = NewCrewKey(
        alias=fields.octets("alias", 32), rp_id_hash=fields.octets("rp_id_hash", 32), origin=fields.text("origin"),
        proof=proof,
    )  # fmt: skip
    is_passkey = proof.kind is KeyKind.WEBAUTHN
    if (key.rp_id_hash != bytes(32), key.origin != "") != (is_passkey, is_passkey):
        raise CrewKeyError("crew key: a passkey names its site, a software key none; let the phone show the file again")
    if len(key.origin) > ORIGIN_LENGTH_MAX or not key.origin.isascii() or key.alias == bytes(32):
        raise CrewKeyError("crew key: alias or origin is none; let the phone show the file again")
    return key


def verify_crew_key(key: NewCrewKey) -> None:
    """Check that the phone holds the key, and that a passkey is of the site which the file names.

    Raises:
        CrewKeyError: the proof is another key's, over another alias, or of another site.
    """
    try:
        verify_signature(
            key.proof, chain_id=0, contract=_NOWHERE, purpose=Purpose.ENROL_KEY,
            body_digest=Purpose.ENROL_KEY.body_digest(key.alias),
        )  # fmt: skip
    except ContractsError as error:
        raise CrewKeyError(
            f"crew key: its proof does not hold ({error}); take the file from the phone itself, for somebody changed it"
        ) from error
    if key.kind is not KeyKind.WEBAUTHN:
        return
    answer = key.proof.signature
    origin = answer.client_data.partition(_BEFORE_ORIGIN)[2].partition(b'"')[0]
    if answer.authenticator_data[:32] != key.rp_id_hash or origin != key.origin.encode():
        raise CrewKeyError(
            "crew key: the passkey is of another site than the file says; make it on the site's own page"
        )
