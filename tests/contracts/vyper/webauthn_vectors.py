"""The ES256 test vectors of Web Authentication level 3, section 16, made again from what that section says of them.

Every random value there is HKDF-SHA-256 of "WebAuthn test vectors" with a counter as salt and the vector's name as
info, and every signature is deterministic (RFC 6979), so a vector is its name and its counters. Authentication
ceremonies only. `digest` is the start of SHA-256 over authenticator data, client data and signature as published, which
shows that what is made here are the published bytes.
"""

import base64
import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from contracts import p256
from contracts.person import PersonSignature, key_id_of

RP_ID_HASH = hashlib.sha256(b"example.org").digest()
ORIGIN = "https://example.org"
EXTRA = "clientDataJSON may be extended with additional fields in the future, such as this: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """One authentication ceremony: where its values lie in the stream, and what its client data says."""

    name: str
    challenge_salt: int
    extra_salt: int | None = None
    flags: int
    cross_origin: str = "false"
    digest: str

    def _random(self, salt: int, length: int) -> bytes:
        stream = HKDF(algorithm=hashes.SHA256(), length=length, salt=bytes([salt]), info=self.name.encode())
        return stream.derive(b"WebAuthn test vectors")

    @property
    def key(self) -> p256.PrivateKey:
        return p256.key_from_secret(int.from_bytes(self._random(1, 32)))

    @property
    def challenge(self) -> bytes:
        return self._random(self.challenge_salt, 32)

    @property
    def authenticator_data(self) -> bytes:
        return RP_ID_HASH + bytes([self.flags]) + bytes(4)

    @property
    def client_data(self) -> bytes:
        text = f'{{"type":"webauthn.get","challenge":"{_base64url(self.challenge)}","origin":"{ORIGIN}"'
        text += f',"crossOrigin":{self.cross_origin}'
        if self.extra_salt is not None:
            text += f',"extraData":"{EXTRA}{_base64url(self._random(self.extra_salt, 16))}"'
        return (text + "}").encode()

    @property
    def signed(self) -> bytes:
        return self.authenticator_data + hashlib.sha256(self.client_data).digest()

    def signature_der(self) -> bytes:
        """The authenticator's DER signature, with the high s where it made one."""
        return self.key.sign(self.signed, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))

    def assertion(self) -> PersonSignature:
        """The ceremony as a contract takes it, with the s that the authenticator made."""
        r, s = decode_dss_signature(self.signature_der())
        return PersonSignature(
            key_id=key_id_of(p256.public_bytes(self.key)),
            nonce=0,
            deadline=2**63,
            r=r,
            s=s,
            authenticator_data=self.authenticator_data,
            client_data=self.client_data,
        )

    def is_as_published(self) -> bool:
        whole = self.authenticator_data + self.client_data + self.signature_der()
        return hashlib.sha256(whole).hexdigest().startswith(self.digest)


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


UP, UV, BE, BS = 1, 4, 8, 16
VECTORS = (
    Vector(name="none.ES256", challenge_salt=7, flags=UP | BE | BS, digest="51f88ba36a5fc7da"),
    Vector(name="packed-self.ES256", challenge_salt=7, extra_salt=9, flags=UP | BE, digest="f04d30c37e47d62e"),
    Vector(
        name="none.ES256.crossOrigin",
        challenge_salt=7,
        extra_salt=9,
        flags=UP | UV,
        cross_origin="true",
        digest="c2616949905872d0",
    ),
    Vector(
        name="none.ES256.topOrigin",
        challenge_salt=6,
        extra_salt=8,
        flags=UP | UV,
        cross_origin='true,"topOrigin":"https://example.com"',
        digest="03eb72cf96829fbe",
    ),
    Vector(name="none.ES256.long-credential-id", challenge_salt=6, flags=UP | UV | BE, digest="b64abc4ec62f6304"),
    Vector(name="packed.ES256", challenge_salt=9, extra_salt=11, flags=UP | UV | BE, digest="bb6a9fc3c6c91e15"),
    Vector(name="tpm.ES256", challenge_salt=8, flags=UP | UV | BE, digest="cfabb9ddc42230b5"),
    Vector(name="android-key.ES256", challenge_salt=8, extra_salt=10, flags=UP | BE, digest="046d5d284a8ebc61"),
    Vector(name="apple.ES256", challenge_salt=8, flags=UP | BE, digest="ce00e186354261e7"),
    Vector(name="fido-u2f.ES256", challenge_salt=7, flags=UP, digest="03a8b0381fff9b7b"),
)
