# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title People's signatures
@license Apache-2.0
@notice Digests that a person signs, and the two ways of signing them: with a passkey (WebAuthn) or with a software key.

        Invariants
        - A digest names the chain, the contract, the purpose, the key, a nonce and a deadline, so a signature means one
          act in one place. Whether an act may happen twice is the calling contract's business: it takes the nonce, or
          has a state that changes once.
        - The kind is fixed when the key is registered; a software signature never passes for a passkey or the reverse.
        - A passkey signs authenticator data and client data. Its client data must begin
          {"type":"webauthn.get","challenge":"<digest>","origin":"<registered origin>" and, where the next member is
          crossOrigin, go on with `,"crossOrigin":false`. Relying party, presence and verification flags are checked;
          counters are not, for synchronised passkeys have none (WebAuthn level 3, section 6.1.1).
        - A software key signs the 32 digest bytes with ECDSA-SHA256, so what is verified is SHA-256(digest).
"""

import base64
import p256

uses: p256

TAG: constant(bytes32) = 0x6d696e676c6f752f706572736f6e2f3100000000000000000000000000000000  # minglou/person/1
WEBAUTHN: constant(uint256) = 1
SOFTWARE: constant(uint256) = 2

# How client data begins, up to the challenge.
CLIENT_DATA_HEAD: constant(Bytes[36]) = b'{"type":"webauthn.get","challenge":"'

# User present and user verified (WebAuthn level 3, section 6.1).
FLAGS_NEEDED: constant(uint256) = 5
AUTHENTICATOR_DATA_MIN: constant(uint256) = 37


struct PersonSignature:
    key_id: bytes32  # SHA-256(x || y)
    nonce: uint256
    deadline: uint256  # Unix seconds; valid up to and including it
    r: uint256
    s: uint256
    authenticator_data: Bytes[256]  # empty for software keys
    client_data: Bytes[512]  # empty for software keys


struct PersonKey:
    unit: bytes32  # zero when no such key is in force
    index: uint256
    x: uint256
    y: uint256
    kind: uint256
    rp_id_hash: bytes32
    origin: String[128]


@internal
@view
def _digest(purpose: bytes32, body_digest: bytes32, signature: PersonSignature) -> bytes32:
    """
    @notice The person digest for an act on this contract and chain.
    @param purpose ASCII name of the act.
    @param body_digest SHA-256 of the act's ABI-encoded parameters.
    """
    return sha256(
        abi_encode(
            TAG, chain.id, self, purpose, signature.key_id, signature.nonce, signature.deadline, body_digest
        )
    )


@internal
@view
def _is_signed_by(key: PersonKey, digest: bytes32, signature: PersonSignature) -> bool:
    """
    @notice Whether the key signed the digest in the manner it was registered for. The caller checks the deadline.
    """
    if key.kind == SOFTWARE:
        if len(signature.authenticator_data) != 0 or len(signature.client_data) != 0:
            return False
        return p256._is_signed(sha256(digest), signature.r, signature.s, key.x, key.y)
    if key.kind != WEBAUTHN:
        return False
    if not self._is_authenticator_data(key.rp_id_hash, signature.authenticator_data):
        return False
    if not self._is_client_data(digest, key.origin, signature.client_data):
        return False
    signed: bytes32 = sha256(concat(signature.authenticator_data, sha256(signature.client_data)))
    return p256._is_signed(signed, signature.r, signature.s, key.x, key.y)


@internal
@pure
def _is_authenticator_data(rp_id_hash: bytes32, authenticator_data: Bytes[256]) -> bool:
    if len(authenticator_data) < AUTHENTICATOR_DATA_MIN:
        return False
    if convert(slice(authenticator_data, 0, 32), bytes32) != rp_id_hash:
        return False
    flags: uint256 = convert(slice(authenticator_data, 32, 1), uint256)
    return flags & FLAGS_NEEDED == FLAGS_NEEDED


@internal
@pure
def _is_client_data(digest: bytes32, origin: String[128], client_data: Bytes[512]) -> bool:
    expected: Bytes[256] = concat(
        CLIENT_DATA_HEAD,
        base64._url(digest),
        b'","origin":"',
        convert(origin, Bytes[128]),
        b'"',
    )
    if not self._has_at(client_data, 0, expected):
        return False
    end: uint256 = len(expected)
    if self._has_at(client_data, end, b',"crossOrigin":'):
        if not self._has_at(client_data, end, b',"crossOrigin":false'):
            return False
        end += 20
    return self._has_at(client_data, end, b",") or self._has_at(client_data, end, b"}")


@internal
@pure
def _client_data_end(origin: String[128], tail: Bytes[256]) -> Bytes[397]:
    """
    @notice What follows the challenge in client data that many passkeys of one origin signed alike; empty if the tail is none
        that `_is_client_data` takes.
    @param tail What follows the origin and its closing quote, e.g. `,"crossOrigin":false}`.
    """
    end: uint256 = 0
    if self._has_at(tail, 0, b',"crossOrigin":'):
        if not self._has_at(tail, 0, b',"crossOrigin":false'):
            return b""
        end = 20
    if not (self._has_at(tail, end, b",") or self._has_at(tail, end, b"}")):
        return b""
    return concat(b'","origin":"', convert(origin, Bytes[128]), b'"', tail)


@internal
@pure
def _passkey_hash(digest: bytes32, authenticator_data: Bytes[256], client_data_end: Bytes[397]) -> bytes32:
    """
    @notice What a passkey signed, its client data rebuilt from the digest: nobody has to send it. The caller has checked the
        authenticator data and made the end with `_client_data_end`.
    """
    client_data: Bytes[476] = concat(CLIENT_DATA_HEAD, base64._url(digest), client_data_end)
    return sha256(concat(authenticator_data, sha256(client_data)))


@internal
@pure
def _has_at(text: Bytes[512], start: uint256, part: Bytes[256]) -> bool:
    if start + len(part) > len(text):
        return False
    return keccak256(slice(text, start, len(part))) == keccak256(part)
