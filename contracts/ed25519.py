"""Ed25519: the super-log's own signature, which the public C2SP witness network requires, and the witnesses'.

A public key is 32 bytes, a signature 64. Source: RFC 8032.
"""

from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from contracts.errors import KeyFormatError, SignatureError

PrivateKey = ed25519.Ed25519PrivateKey

PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64


def generate_key() -> PrivateKey:
    """A new private key from the operating system's randomness."""
    return ed25519.Ed25519PrivateKey.generate()


def key_from_seed(seed: bytes) -> PrivateKey:
    """The private key of a 32-byte seed. Raises `KeyFormatError` for another length."""
    if len(seed) != 32:
        raise KeyFormatError(f"an Ed25519 seed has 32 bytes, not {len(seed)}")
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed)


def dump_pem(key: PrivateKey, password: bytes | None = None) -> bytes:
    """PKCS #8 PEM of a private key, encrypted where a password is given."""
    encryption: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def load_pem(pem: bytes, password: bytes | None = None) -> PrivateKey:
    """The private key that `dump_pem` wrote.

    Raises:
        KeyFormatError: not a PEM Ed25519 key, or the password is missing, wrong or not needed.
    """
    try:
        key = serialization.load_pem_private_key(pem, password)
    except (ValueError, TypeError) as error:
        raise KeyFormatError(f"private key cannot be opened: {error}; check the file and its password") from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise KeyFormatError("private key is not an Ed25519 one")
    return key


def public_bytes(key: PrivateKey) -> bytes:
    """The 32 bytes of the public key."""
    return key.public_key().public_bytes_raw()


def sign(key: PrivateKey, message: bytes) -> bytes:
    """The 64 bytes of the signature; always the same for the same key and message."""
    return key.sign(message)


def verify(public: bytes, message: bytes, signature: bytes) -> None:
    """Check a signature.

    Raises:
        KeyFormatError: key or signature have another length.
        SignatureError: the key did not sign this message.
    """
    if len(signature) != SIGNATURE_BYTES:
        raise KeyFormatError(f"an Ed25519 signature has {SIGNATURE_BYTES} bytes, not {len(signature)}")
    try:
        _load(public).verify(signature, message)
    except InvalidSignature as error:
        raise SignatureError(f"key {public.hex()[:16]}… did not sign this; text, signature or key changed") from error


@lru_cache(maxsize=256)
def _load(public: bytes) -> ed25519.Ed25519PublicKey:
    if len(public) != PUBLIC_BYTES:
        raise KeyFormatError(f"an Ed25519 public key has {PUBLIC_BYTES} bytes, not {len(public)}")
    return ed25519.Ed25519PublicKey.from_public_bytes(public)
