"""People's signatures: what they sign and how (DESIGN section 4, person.vy).

A digest names the chain, the contract, the purpose, the key, a nonce and a deadline. A software key signs the 32 digest
bytes with ECDSA-SHA256; a passkey signs its authenticator data and client data, whose challenge is the digest.
"""

import base64
from dataclasses import dataclass
from enum import Enum, IntEnum
from hashlib import sha256
from typing import Any

from contracts import p256
from contracts.abi import encode_arguments, padded
from contracts.errors import ContractsError
from contracts.visit import RECORD_TYPES

TAG = padded("minglou/person/1")
AUTHENTICATOR_DATA_MAX = 256
CLIENT_DATA_MAX = 512


class PersonError(ContractsError):
    """A person's signature cannot be made or parsed from what was given."""


class KeyKind(IntEnum):
    """How a person's key signs; fixed when it is registered."""

    WEBAUTHN = 1
    SOFTWARE = 2


class Purpose(Enum):
    """What a signature is for, with the ABI types of the body that it covers."""

    VETO = ("veto", ("uint256", "uint256"))  # batch number, call index
    ROTATE_KEY = ("key.rotate", ("uint256", "uint256", "uint256", "uint256"))  # x, y, kind, relying party
    REVOKE_KEY = ("key.revoke", ("bytes32",))  # key id
    CONFIRM_BINDING = ("binding.confirm", ("bytes32", "uint256", "bytes32"))  # device, number, commitment
    CONTEST_BINDING = ("binding.contest", ("bytes32", "uint256", "bytes32"))  # device, number, commitment
    ATTEST_BINDINGS = ("binding.attest", ("bytes32[]", "uint256[]", "bytes32[]"))  # devices, numbers, commitments
    SWAP_METER = (  # subject, old device, new device, date, closing and opening commitment
        "binding.swap",
        ("bytes32", "bytes32", "bytes32", "uint256", "bytes32", "bytes32"),
    )
    CHALLENGE = ("fees.challenge", ("uint256", "uint256", "uint256", "bytes32"))  # period, unit, line, lines digest
    WITHDRAW = ("fees.withdraw", ("uint256", "uint256", "address"))  # unit index, amount, to
    DEMAND = ("fees.demand", ("uint256", "uint256"))  # period, unit
    MANDATE = ("fees.mandate", ("uint256", "uint256"))  # unit index, cap
    MOVE = ("fees.move", ("uint256", "uint256", "uint256"))  # unit index, to unit, amount
    LEAVE = ("fees.leave", ("uint256", "uint256", "bytes32", "address"))  # unit index, date, final reading, to
    RECEIPT = ("fees.receipt", ("uint256", "uint256", "uint256", "bytes32"))  # period, unit, amount, receipt digest
    VISIT = ("visit", RECORD_TYPES)  # the visit record: its body digest is the visit's digest
    COUNTERSIGN_VISIT = ("visit.countersign", RECORD_TYPES)

    PROPOSE = ("vote.propose", ("bytes32",))  # digest of the proposal; contract Resolutions
    VOTE = ("vote.cast", ("bytes32", "uint256"))  # digest of the resolution, choice; contract Ballots, as all below
    SEAL = ("vote.seal", ("bytes32", "bytes32"))  # digest of the resolution, commitment
    PROXY = ("vote.proxy", ("bytes32", "uint256"))  # digest of the resolution, holder + 1 or 0
    PAPER = ("vote.paper", ("bytes32",))  # chained digest of the paper ballots

    REPORT_WORK = ("work.report", ("bytes32", "bytes32"))  # device, report; contract WorkOrders, as all below
    WITHDRAW_WORK = ("work.withdraw", ("bytes32", "uint256"))  # order, round
    ACCEPT_WORK = ("work.accept", ("bytes32", "uint256", "uint256"))  # order, promise, round; a crew's key
    ARRIVE_WORK = ("work.arrive", ("bytes32", "bytes32", "uint256", "uint256"))  # order, arrival, at, round; a crew's
    FINISH_WORK = ("work.done", ("bytes32", "bytes32", "uint256"))  # order, evidence, round; a crew's key
    CONFIRM_WORK = ("work.confirm", ("bytes32", "uint256"))  # order, round
    REOPEN_WORK = ("work.reopen", ("bytes32", "bytes32", "uint256"))  # order, reason, round

    ENROL_KEY = ("crew.enrol", ("bytes32",))  # alias; a new key's proof, which names no contract

    def body_digest(self, *body: Any) -> bytes:
        """SHA-256 of the ABI-encoded body. Raises AbiError if the values are not this purpose's."""
        name, types = self.value
        return sha256(encode_arguments(name, types, body)).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSignature:
    """A person's signature as contracts take it."""

    key_id: bytes  # SHA-256 of x || y
    nonce: int
    deadline: int  # Unix seconds, valid up to and including it
    r: int
    s: int
    authenticator_data: bytes = b""  # empty for software keys
    client_data: bytes = b""

    def abi(self) -> tuple[Any, ...]:
        """The fields in the contract's order."""
        return (self.key_id, self.nonce, self.deadline, self.r, self.s, self.authenticator_data, self.client_data)


PERSON_SIGNATURE_TYPE = "(bytes32,uint256,uint256,uint256,uint256,bytes,bytes)"


def person_digest(
    *, chain_id: int, contract: str, purpose: Purpose, key_id: bytes, nonce: int, deadline: int, body_digest: bytes
) -> bytes:
    """The 32 bytes that a person signs.

    Args:
        contract: address of the contract that will take the signature.
        nonce: rises for acts that may happen again (withdrawals, mandates): use milliseconds since 1970.
        body_digest: `purpose.body_digest(...)`.
    """
    words = encode_arguments(
        "person digest",
        ("bytes32", "uint256", "address", "bytes32", "bytes32", "uint256", "uint256", "bytes32"),
        (TAG, chain_id, contract, padded(purpose.value[0]), key_id, nonce, deadline, body_digest),
    )
    return sha256(words).digest()


def key_id_of(public: bytes) -> bytes:
    """The name of a key: SHA-256 of its 64 bytes x || y."""
    return sha256(public).digest()


def sign_software(
    key: p256.PrivateKey,
    *,
    chain_id: int,
    contract: str,
    purpose: Purpose,
    nonce: int,
    deadline: int,
    body_digest: bytes,
) -> PersonSignature:
    """Sign as a software key does (WebCrypto's ECDSA with SHA-256 over the digest)."""
    key_id = key_id_of(p256.public_bytes(key))
    digest = person_digest(
        chain_id=chain_id,
        contract=contract,
        purpose=purpose,
        key_id=key_id,
        nonce=nonce,
        deadline=deadline,
        body_digest=body_digest,
    )
    signature = p256.sign(key, digest)
    return PersonSignature(
        key_id=key_id,
        nonce=nonce,
        deadline=deadline,
        r=int.from_bytes(signature[:32]),
        s=int.from_bytes(signature[32:]),
    )


def challenge_text(digest: bytes) -> str:
    """The digest as a WebAuthn challenge: base64url without padding."""
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def webauthn_signature(
    *, key_id: bytes, nonce: int, deadline: int, signature_der: bytes, authenticator_data: bytes, client_data: bytes
) -> PersonSignature:
    """What an authenticator answered, in the form that contracts take; high s is kept, the contract lowers it.

    Raises:
        PersonError: authenticator or client data are longer than a contract takes.
        KeyFormatError: the signature is not strict DER.
    """
    if len(authenticator_data) > AUTHENTICATOR_DATA_MAX or len(client_data) > CLIENT_DATA_MAX:
        raise PersonError(
            f"passkey answered {len(authenticator_data)} bytes of authenticator data and {len(client_data)} of client "
            f"data; contracts take {AUTHENTICATOR_DATA_MAX} and {CLIENT_DATA_MAX}: sign again without extensions"
        )
    signature = p256.signature_from_der(signature_der)
    return PersonSignature(
        key_id=key_id,
        nonce=nonce,
        deadline=deadline,
        r=int.from_bytes(signature[:32]),
        s=int.from_bytes(signature[32:]),
        authenticator_data=authenticator_data,
        client_data=client_data,
    )
