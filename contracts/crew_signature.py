"""Crew members' signatures in the form that ServiceAgreements takes (crew_signature.vy).

Crews keeps one hash over what it says about a member's key; the caller brings what is hashed, and of a passkey's answer
only what the contract cannot write itself.
"""

from dataclasses import dataclass
from typing import Any

from contracts.errors import ContractsError
from contracts.person import KeyKind, PersonSignature

CREW_SIGNATURE_TYPE = "(uint256,uint256,uint256,bytes32,uint256,uint256)"
CLIENT_DATA_MAX = 256  # bytes from the origin on, of all signers of one act together
DUTY_MECHANIC = 1
DUTY_MANAGER = 2

_BEFORE_ORIGIN = b'","origin":"'
_USUAL_END = b'","crossOrigin":false}'


class CrewSignatureError(ContractsError):
    """A passkey's answer is not one for the relying party and origin that the key is registered for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrewKey:
    """A member's key and standing, as Crews has them."""

    duties: int  # bits: 1 mechanic, 2 site manager, 4 installer, 8 returning officer, 16 cashier
    licence_until_s: int  # Unix seconds
    x: int
    y: int
    kind: KeyKind
    rp_id_hash: bytes = bytes(32)  # zero for software keys
    origin: str = ""  # empty for software keys

    def commitment_words(self, firm: int, origin_hash: bytes) -> tuple[Any, ...]:
        """The eight words whose Keccak-256 Crews keeps for a member of the firm.

        Args:
            origin_hash: Keccak-256 of the origin; hashing it is the caller's, for this room needs no keccak library.
        """
        return (
            firm, self.duties, self.licence_until_s, self.x, self.y, int(self.kind), self.rp_id_hash, origin_hash
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class CrewSignature:
    """One signature as the contract takes it."""

    words: tuple[Any, ...]
    client_data: bytes


def crew_signature(key: CrewKey, signature: PersonSignature) -> CrewSignature:
    """The signature in the form that contracts take.

    Raises:
        CrewSignatureError: the passkey answered for another relying party or origin, or with extensions.
    """
    authenticator, client = bytes(5), b""
    if key.kind is KeyKind.WEBAUTHN:
        authenticator = signature.authenticator_data[32:]
        client = signature.client_data[signature.client_data.find(_BEFORE_ORIGIN) + len(_BEFORE_ORIGIN) :]
        if signature.authenticator_data[:32] != key.rp_id_hash or not client.startswith(key.origin.encode() + b'"'):
            raise CrewSignatureError(f"passkey did not sign for {key.origin}; sign again on the page of that address")
        if client == key.origin.encode() + _USUAL_END:
            client = key.origin.encode()
        if len(authenticator) != 5 or len(client) >= CLIENT_DATA_MAX:
            raise CrewSignatureError("passkey answered with extensions; sign again without them")
    lanes = _lanes(key, signature, authenticator, len(client))
    return CrewSignature((lanes, key.x, key.y, key.rp_id_hash, signature.r, signature.s), client)


def _lanes(key: CrewKey, signature: PersonSignature, authenticator: bytes, client_data_length: int) -> int:
    widths = (64, 48, 64, 16, 8, 8, 40, 8)
    values = (
        signature.deadline, signature.nonce, key.licence_until_s, key.duties, int(key.kind), len(key.origin),
        int.from_bytes(authenticator), client_data_length,
    )  # fmt: skip
    lanes = shift = 0
    for width, value in zip(widths, values, strict=True):
        if not 0 <= value < 2**width:
            raise CrewSignatureError(
                f"{value} does not fit {width} bits: deadline, nonce, licence or duties are too large"
            )
        lanes |= value << shift
        shift += width
    return lanes
