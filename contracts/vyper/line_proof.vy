# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Bill lines and what proves them
@license Apache-2.0
@notice The words of a bill line, and all that a recomputation of one takes: the price terms, gateways' accepted heads,
        boundary entries, and the place of the unit's key among those that share a pool.

        Invariants
        - The lines' digest covers every word of every line, in order.
"""

import bill_tree
import entry_proof

LINES_MAX: constant(uint256) = 24
LINE_BYTES: constant(uint256) = 256
TERMS_BYTES: constant(uint256) = 10752

KIND_OWN: constant(uint256) = 1
KIND_SHARED: constant(uint256) = 2
KIND_STANDING: constant(uint256) = 3
KIND_CREDIT: constant(uint256) = 4
KIND_ESTIMATED: constant(uint256) = 5
KIND_INTERVAL: constant(uint256) = 6


struct Line:
    kind: uint256  # 1 own use, 2 shared, 3 standing, 4 credit note, 5 own use estimated, 6 own use by interval
    subject: bytes32  # device at closing, pool, digest of the right to charge, or of the credit note
    quantity: bytes32
    tariff: uint256  # version of the terms, zero where the right itself states the amount
    since: uint256  # boundary date from which tiers count
    span: uint256  # first day * 10^8 + day after the last, within the period
    usage: uint256  # base units; of a shared line the pool's
    amount: uint256  # fen; of a credit note what it gives, outside the bill's sums


struct Head:
    size: uint256
    root: bytes32
    accepted_at: uint256


struct GatewayLog:
    origin_id: bytes32
    head: Head


struct Span:
    from_date: uint256
    to_date: uint256
    register: uint256  # place in the terms' registers
    gateway: uint256  # place in the proof's logs
    opening: entry_proof.EntryProof
    closing: entry_proof.EntryProof


struct KeyProof:
    table: Bytes[128]  # of the period's volumes; empty where the roll holds the table
    key: uint256
    salt: bytes32
    path: DynArray[bill_tree.Node, 32]


struct LineProof:
    terms: Bytes[TERMS_BYTES]
    logs: DynArray[GatewayLog, 3]
    before: DynArray[Span, 3]  # from `since` to the line's first day
    during: DynArray[Span, 6]  # over the line's days, register by register, meter by meter
    key: KeyProof


struct Bounds:
    period: uint256
    unit_index: uint256
    unit_count: uint256  # of the roll when the period was closed
    total_area: uint256


@internal
@pure
def _digest(lines: DynArray[Line, LINES_MAX]) -> bytes32:
    """
    @notice SHA-256 over the lines' words, without the offset and length that the ABI puts before them.
    """
    encoded: Bytes[LINES_MAX * LINE_BYTES + 64] = abi_encode(lines)
    return sha256(slice(encoded, 64, len(lines) * LINE_BYTES))


@internal
@pure
def _is_double(first: Line, second: Line) -> bool:
    """
    @notice Whether two lines charge for the same thing and day. A right that states its amount itself may be used more
            than once, and a credit asks for nothing.
    """
    for line: Line in [first, second]:
        if line.kind == KIND_CREDIT or (line.kind == KIND_STANDING and line.tariff == 0):
            return False
    if first.subject != second.subject or first.quantity != second.quantity:
        return False
    return max(first.span // 10**8, second.span // 10**8) < min(first.span % 10**8, second.span % 10**8)
