"""P-256 signatures: what gateways, crews and owners sign with.

A public key is 64 bytes x || y, a signature 64 bytes r || s with the low one of the two possible s, so that nobody can
make a second valid signature from the first. DER appears only where C2SP notes want it, in its one strict form.

Source: FIPS 186-5 (ECDSA), SEC 1 (encodings), ITU-T X.690 (DER), RFC 5480 (SubjectPublicKeyInfo).
"""

from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature

from contracts.errors import KeyFormatError, SignatureError

PrivateKey = ec.EllipticCurvePrivateKey

PUBLIC_BYTES = 64
SIGNATURE_BYTES = 64
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_CURVE = ec.SECP256R1()
_SPKI_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200" + "04")
_MESSAGE = ec.ECDSA(hashes.SHA256())
_DIGEST = ec.ECDSA(Prehashed(hashes.SHA256()))
# RFC 6979: the same signature each time, for golden vectors.
_REPEATABLE = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


def generate_key() -> PrivateKey:
    """A new private key from the operating system's randomness."""
    return ec.generate_private_key(_CURVE)


def key_from_secret(secret: int) -> PrivateKey:
    """The private key with a given secret scalar, 1 <= secret < order; for tests and keys derived from a seed."""
    if not 0 < secret < ORDER:
        raise KeyFormatError("a P-256 secret lies between 1 and the curve's order - 1")
    return ec.derive_private_key(secret, _CURVE)


def dump_pem(key: PrivateKey, password: bytes | None = None) -> bytes:
    """PKCS #8 PEM of a private key, encrypted where a password is given."""
    encryption: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def load_pem(pem: bytes, password: bytes | None = None) -> PrivateKey:
    """The private key that `dump_pem` wrote.

    Raises:
        KeyFormatError: not a PEM private key, another curve, or the password is missing, wrong or not needed.
    """
    try:
        key = serialization.load_pem_private_key(pem, password)
    except (ValueError, TypeError) as error:
        raise KeyFormatError(f"private key cannot be opened: {error}; check the file and its password") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyFormatError("private key is not a P-256 one")
    return key


def public_bytes(key: PrivateKey) -> bytes:
    """x || y of the key's public point."""
    numbers = key.public_key().public_numbers()
    return numbers.x.to_bytes(32) + numbers.y.to_bytes(32)


def spki(public: bytes) -> bytes:
    """The DER SubjectPublicKeyInfo of x || y, 91 bytes. Its SHA-256 begins with the C2SP key id.

    Raises:
        KeyFormatError: not 64 bytes, or not a point of the curve.
    """
    _load(public)
    return _SPKI_HEAD + public


def public_from_spki(der: bytes) -> bytes:
    """x || y of a DER SubjectPublicKeyInfo in the one form that `spki` writes.

    Raises:
        KeyFormatError: any other bytes.
    """
    if len(der) != len(_SPKI_HEAD) + PUBLIC_BYTES or not der.startswith(_SPKI_HEAD):
        raise KeyFormatError("not the DER SubjectPublicKeyInfo of an uncompressed P-256 key")
    public = der[len(_SPKI_HEAD) :]
    _load(public)
    return public


def sign(key: PrivateKey, message: bytes, *, repeatable: bool = False) -> bytes:
    """r || s, low s, over SHA-256 of the message. `repeatable` gives the same bytes each time (RFC 6979)."""
    r, s = decode_dss_signature(key.sign(message, _REPEATABLE if repeatable else _MESSAGE))
    return r.to_bytes(32) + min(s, ORDER - s).to_bytes(32)


def verify(public: bytes, message: bytes, signature: bytes) -> None:
    """Check r || s over SHA-256 of the message.

    Raises:
        KeyFormatError: the key is no point of the curve, or the signature is not 64 bytes with r, s in range and low s.
        SignatureError: the key did not sign this message.
    """
    check_signature_form(signature)
    _verify(public, message, signature, _MESSAGE)


def verify_digest(public: bytes, digest: bytes, signature: bytes) -> None:
    """Check r || s over a SHA-256 digest that was made elsewhere, as the EVM's precompile 0x100 does; high s passes.

    Raises:
        KeyFormatError, SignatureError: as `verify`, but for the high s.
    """
    if len(digest) != 32:
        raise KeyFormatError(f"a SHA-256 digest has 32 bytes, not {len(digest)}")
    check_signature_form(low_s(signature))
    _verify(public, digest, signature, _DIGEST)


def check_signature_form(signature: bytes) -> None:
    """Raises `KeyFormatError` unless these are 64 bytes r || s with 0 < r < order and 0 < s <= order / 2."""
    r, s = _split(signature)
    if not (0 < r < ORDER and 0 < s <= ORDER // 2):
        raise KeyFormatError("signature is not canonical: r or s is out of range, or s is the high one of the two")


def low_s(signature: bytes) -> bytes:
    """The signature with its s replaced by the low one of the two; passkeys often make the high one."""
    r, s = _split(signature)
    return r.to_bytes(32) + min(s, max(ORDER - s, 0)).to_bytes(32)


def signature_to_der(signature: bytes) -> bytes:
    """The strict DER SEQUENCE of r || s. Raises `KeyFormatError` as `check_signature_form` does."""
    check_signature_form(signature)
    return encode_dss_signature(*_split(signature))


def signature_from_der(der: bytes) -> bytes:
    """r || s of a strict DER signature with low s.

    Raises:
        KeyFormatError: not DER, not its one shortest form, trailing bytes, or not canonical as a signature.
    """
    try:
        r, s = decode_dss_signature(der)
        signature = r.to_bytes(32) + s.to_bytes(32)
    except (ValueError, OverflowError) as error:
        raise KeyFormatError("signature is not a DER sequence of two numbers of at most 32 bytes") from error
    if encode_dss_signature(r, s) != der:
        raise KeyFormatError("signature is not strict DER: it has a second, shorter spelling")
    check_signature_form(signature)
    return signature


def _split(signature: bytes) -> tuple[int, int]:
    if len(signature) != SIGNATURE_BYTES:
        raise KeyFormatError(f"a P-256 signature has {SIGNATURE_BYTES} bytes r || s, not {len(signature)}")
    return int.from_bytes(signature[:32]), int.from_bytes(signature[32:])


def _verify(public: bytes, signed: bytes, signature: bytes, algorithm: ec.ECDSA) -> None:
    try:
        _load(public).verify(encode_dss_signature(*_split(signature)), signed, algorithm)
    except InvalidSignature as error:
        raise SignatureError(f"key {public.hex()[:16]}… did not sign this; text, signature or key changed") from error


@lru_cache(maxsize=1024)
def _load(public: bytes) -> ec.EllipticCurvePublicKey:
    if len(public) != PUBLIC_BYTES:
        raise KeyFormatError(f"a P-256 public key has {PUBLIC_BYTES} bytes x || y, not {len(public)}")
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(public[:32]), int.from_bytes(public[32:]), _CURVE)
    try:
        return numbers.public_key()
    except ValueError as error:
        raise KeyFormatError(f"{public.hex()[:16]}… is no point of P-256") from error
