# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Crew members' signatures
@license Apache-2.0
@notice The same signatures as in person.vy, by people whose keys the Crews contract holds, brought in a form that costs a third
        of the gas. Crews keeps one hash over all that it says about a member's key; the caller brings what is hashed. Of a
        passkey's answer he brings what cannot be written here: client data from the origin on, flags and counter. An
        authenticator that adds extensions, which nobody asks for, cannot sign here.

        Invariants
        - The digest is person.vy's: chain, contract, purpose, key, nonce, deadline and the body's digest.
        - The commitment covers firm, duties, licence, both coordinates, kind, relying party and origin, so nothing that the
          caller brings about a key can differ from what Crews holds; Crews answers zero while no key is in force.
        - A passkey's client data therefore begins exactly {"type":"webauthn.get","challenge":"<digest>","origin":"<origin>"
          and goes on with a comma or a closing brace; a crossOrigin that follows is false. Presence and verification
          flags are set. A software signature never passes for a passkey or the reverse.
"""

import base64
import p256

uses: p256

TAG: constant(bytes32) = 0x6d696e676c6f752f706572736f6e2f3100000000000000000000000000000000  # minglou/person/1
WEBAUTHN: constant(uint256) = 1
SOFTWARE: constant(uint256) = 2
# User present and user verified (WebAuthn level 3, section 6.1).
FLAGS_NEEDED: constant(uint256) = 5

BEFORE_CHALLENGE: constant(Bytes[36]) = b'{"type":"webauthn.get","challenge":"'
BEFORE_ORIGIN: constant(Bytes[12]) = b'","origin":"'
QUOTE: constant(uint256) = 34
COMMA: constant(uint256) = 44
BRACE: constant(uint256) = 125
CROSS_ORIGIN: constant(uint256) = 229158542706172569475591933908623930  # ,"crossOrigin":
CROSS_ORIGIN_FALSE: constant(uint256) = 251962482309639813946868537953006907758247441253  # ,"crossOrigin":false
# Client data of all signers of one act, one after another, each from the origin on; the origin alone where they end as
# browsers end them, with `","crossOrigin":false}`; none for software keys.
CLIENT_DATA_MAX: constant(uint256) = 256


struct CrewSignature:
    # From the right: deadline 64 bits (Unix seconds; valid up to and including it), nonce 48, the member's licence_until 64
    # (Unix seconds), duties 16 (1 mechanic, 2 site manager, 4 installer, 8 returning officer, 16 cashier), kind 8
    # (1 webauthn, 2 software), length of the origin 8, what the authenticator wrote behind the relying party's hash 40, length
    # of the client data 8.
    lanes: uint256
    x: uint256
    y: uint256
    rp_id_hash: bytes32  # zero for software keys
    r: uint256
    s: uint256


@internal
@pure
def _deadline(lanes: uint256) -> uint256:
    return lanes & (2**64 - 1)


@internal
@pure
def _licence_until(lanes: uint256) -> uint256:
    return (lanes >> 112) & (2**64 - 1)


@internal
@pure
def _duties(lanes: uint256) -> uint256:
    return (lanes >> 176) & (2**16 - 1)


@internal
@pure
def _client_data_length(lanes: uint256) -> uint256:
    return lanes >> 248


@internal
@view
def _is_signed(
    purpose: bytes32,
    body_digest: bytes32,
    firm: uint256,
    commitment: bytes32,
    signature: CrewSignature,
    all_client_data: Bytes[CLIENT_DATA_MAX],
    start: uint256,
) -> bool:
    """
    @notice Whether the key to which Crews is committed signed the act, in the manner of its kind. The caller checks the deadline.
    @param purpose ASCII name of the act.
    @param body_digest SHA-256 of the act's ABI-encoded parameters.
    @param commitment What Crews keeps for a member of the firm; zero while no key is in force.
    @param start Where this signer's client data begin among all.
    """
    lanes: uint256 = signature.lanes
    kind: uint256 = (lanes >> 192) & 255
    origin_length: uint256 = (lanes >> 200) & 255
    length: uint256 = lanes >> 248
    if origin_length > length or start + length > len(all_client_data):
        return False
    client_data: Bytes[CLIENT_DATA_MAX] = slice(all_client_data, start, length)
    committed: bytes32 = keccak256(
        abi_encode(
            firm,
            self._duties(lanes),
            self._licence_until(lanes),
            signature.x,
            signature.y,
            kind,
            signature.rp_id_hash,
            keccak256(slice(client_data, 0, origin_length)),
        )
    )
    if committed != commitment:
        return False
    signed: bytes32 = sha256(
        abi_encode(
            TAG,
            chain.id,
            self,
            purpose,
            sha256(abi_encode(signature.x, signature.y)),
            (lanes >> 64) & (2**48 - 1),
            self._deadline(lanes),
            body_digest,
        )
    )
    if kind == WEBAUTHN:
        if (lanes >> 240) & FLAGS_NEEDED != FLAGS_NEEDED:
            return False
        client_hash: bytes32 = empty(bytes32)
        if length == origin_length:
            client_hash = sha256(
                concat(BEFORE_CHALLENGE, base64._url(signed), BEFORE_ORIGIN, client_data, b'","crossOrigin":false}')
            )
        elif self._is_end(client_data, origin_length):
            client_hash = sha256(concat(BEFORE_CHALLENGE, base64._url(signed), BEFORE_ORIGIN, client_data))
        else:
            return False
        authenticator: bytes32 = convert((lanes >> 208) << 216, bytes32)
        signed = sha256(concat(signature.rp_id_hash, slice(authenticator, 0, 5), client_hash))
    elif kind == SOFTWARE and lanes >> 200 == 0:
        signed = sha256(signed)
    else:
        return False
    return p256._is_signed(signed, signature.r, signature.s, signature.x, signature.y)


@internal
@pure
def _is_end(client_data: Bytes[CLIENT_DATA_MAX], origin_length: uint256) -> bool:
    """
    @notice Whether the origin ends here, and client data may go on as they do.
    """
    # Zeros behind them, so that there is always a word to look at.
    rest: uint256 = convert(extract32(concat(client_data, empty(bytes32)), origin_length), uint256)
    if rest >> 248 != QUOTE:
        return False
    rest = rest << 8
    if rest >> 136 == CROSS_ORIGIN:
        if rest >> 96 != CROSS_ORIGIN_FALSE:
            return False
        rest = rest << 160
    return rest >> 248 == COMMA or rest >> 248 == BRACE
