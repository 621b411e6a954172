"""A phone with passkeys, in software: answers WebAuthn's two ceremonies as an authenticator and its browser do."""

import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ES256
from fido2.webauthn import Aaguid, AttestationObject, AttestedCredentialData, AuthenticatorData


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


class Phone:
    """One device; holds a passkey for each account."""

    def __init__(self, origin: str, *, verifies: bool = True) -> None:
        self.origin = origin
        self.verifies = verifies
        self._keys: dict[bytes, tuple[ec.EllipticCurvePrivateKey, bytes]] = {}

    def create(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to `navigator.credentials.create`."""
        asked = options["publicKey"]
        key, credential = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(16)
        user = urlsafe_b64decode(asked["user"]["id"] + "==")
        self._keys[credential] = (key, user)
        kept = AttestedCredentialData.create(Aaguid.NONE, credential, ES256.from_cryptography_key(key.public_key()))
        data = AuthenticatorData.create(
            sha256(asked["rp"]["id"].encode()).digest(), self._flags() | AuthenticatorData.FLAG.AT, 0, bytes(kept)
        )
        attestation = AttestationObject.create("none", data, {})
        client = self._client("webauthn.create", asked["challenge"])
        return self._answer(credential, client, attestationObject=_text(bytes(attestation)))

    def get(self, options: Mapping[str, Any], *, rp: str | None = None) -> dict[str, Any]:
        """The answer to `navigator.credentials.get`, by the newest passkey."""
        asked = options["publicKey"]
        credential, (key, user) = list(self._keys.items())[-1]
        data = AuthenticatorData.create(sha256((rp or asked["rpId"]).encode()).digest(), self._flags(), 1)
        client = self._client("webauthn.get", asked["challenge"])
        signature = key.sign(bytes(data) + sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        parts = {"authenticatorData": _text(bytes(data)), "signature": _text(signature), "userHandle": _text(user)}
        return self._answer(credential, client, **parts)

    def _flags(self) -> AuthenticatorData.FLAG:
        present, verified = AuthenticatorData.FLAG.UP, AuthenticatorData.FLAG.UV
        return present | verified if self.verifies else present

    def _client(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}).encode()

    @staticmethod
    def _answer(credential: bytes, client: bytes, **parts: str) -> dict[str, Any]:
        spelt = _text(credential)
        response = {"clientDataJSON": _text(client), **parts}
        return {
            "id": spelt, "rawId": spelt, "type": "public-key", "response": response, "clientExtensionResults": {},
        }  # fmt: skip
