# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title P-256 signatures
@license Apache-2.0
@notice Verifies ECDSA P-256 over a SHA-256 hash through the precompile at 0x100 (EIP-7951) or a verifier contract that
        takes the same 160 bytes and answers the same 32-byte one.

        Invariants
        - A contract that uses this module exists only if its verifier accepted a known-good signature and refused the
          same signature over another hash: a chain without the precompile answers every call with success and nothing,
          which looks exactly like a bad signature.
        - Anything but exactly 32 bytes with the value one is a refusal.
        - Both s and n - s are the same signature. Gateways must send the low one; people's authenticators often make
          the high one, so `_is_signed` brings it down before any verifier that refuses it sees it.
"""

# Order of the P-256 group (FIPS 186-5, NIST SP 800-186 section 3.2.1.3).
ORDER: constant(uint256) = 115792089210356248762697446949407573529996955224135760342422259061068512044369
HALF_ORDER: constant(uint256) = ORDER // 2

# Known-good signature for the probe: Wycheproof ecdsa_secp256r1_sha256_p1363, as in EIP-7951's vectors.
PROBE_HASH: constant(bytes32) = 0xbb5a52f42f9c9261ed4361f59422a1e30036e7c32b270c8807a419feca605023
PROBE_R: constant(bytes32) = 0x2BA3A8BE6B94D5EC80A6D9D1190A436EFFE50D85A1EEE859B8CC6AF9BD5C2E18
PROBE_S: constant(bytes32) = 0x4CD60B855D442F5B3C7B11EB6C4E0AE7525FE710FAB9AA7C77A67F79E6FADD76
PROBE_X: constant(bytes32) = 0x2927B10512BAE3EDDCFE467828128BAD2903269919F7086069C8C4DF6C732838
PROBE_Y: constant(bytes32) = 0xC7787964EAAC00E5921FB1498A60F4606766B3D9685001558D1A974E7341513E

VERIFIER: immutable(address)


@deploy
def __init__(verifier: address):
    """
    @notice Remember the verifier and probe it.
    @param verifier 0x0000000000000000000000000000000000000100, or a contract with the same input and output.
    """
    VERIFIER = verifier
    accepted: bool = self._answers_one(verifier, abi_encode(PROBE_HASH, PROBE_R, PROBE_S, PROBE_X, PROBE_Y))
    assert accepted, "p256: verifier does not accept a known-good signature; configure one for this chain"
    fooled: bool = self._answers_one(verifier, abi_encode(sha256(PROBE_HASH), PROBE_R, PROBE_S, PROBE_X, PROBE_Y))
    assert not fooled, "p256: verifier accepts a wrong signature"


@internal
@view
def _is_signed(hash: bytes32, r: uint256, s: uint256, x: uint256, y: uint256) -> bool:
    """
    @notice Whether (r, s), high or low s, signs the hash under the public key (x, y).
    """
    low_s: uint256 = s
    if s > HALF_ORDER and s < ORDER:
        low_s = ORDER - s
    return self._answers_one(VERIFIER, abi_encode(hash, r, low_s, x, y))


@internal
@view
def _is_signed_low_s(hash: bytes32, r: uint256, s: uint256, x: uint256, y: uint256) -> bool:
    """
    @notice Whether (r, s) with low s signs the hash. The high s is refused, so that one checkpoint has one signature.
    """
    return s <= HALF_ORDER and self._answers_one(VERIFIER, abi_encode(hash, r, s, x, y))


@internal
@view
def _answers_one(verifier: address, input: Bytes[160]) -> bool:
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        verifier,
        input,
        max_outsize=32,
        is_static_call=True,
        revert_on_failure=False,
    )
    return success and len(answer) == 32 and convert(answer, uint256) == 1
