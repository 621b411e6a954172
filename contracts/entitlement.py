"""Whether an entry counts: what the evidence claims of key, device and unit, held against the Registry's records.

The Registry has the last word. What it ended after the file was made does not spoil the file, as long as the file's
proof is older; what the file claims and the Registry never held does.
"""

from collections.abc import Iterable

from contracts.entry import Entry, Kind, device_id
from contracts.errors import EvidenceError
from contracts.evidence import Anchor, Assignment, Binding, GatewayKey, LogProof
from contracts.onchain import RegisteredAssignment, RegisteredBinding, RegisteredKey, origin_id
from contracts.quantities import parse_boundary_quantity


def check_key_range(key: GatewayKey, anchor: Anchor | None) -> None:
    """Raises `EvidenceError` if the key's claimed blocks run backwards or do not hold the anchor's."""
    if key.to_block is not None and key.from_block > key.to_block:
        raise EvidenceError(f"the key's blocks {key.from_block} to {key.to_block} run backwards")
    if anchor is None:
        return
    to_block = anchor.block if key.to_block is None else key.to_block
    if not key.from_block <= anchor.block <= to_block:
        raise EvidenceError(f"anchored in block {anchor.block}, outside the key's {key.from_block} to {key.to_block}")


def check_key(log: LogProof, registered: RegisteredKey | None) -> RegisteredKey:
    """The Registry's record. Raises `EvidenceError` unless it holds the key for this log as the file claims."""
    key = log.key
    if registered is None:
        raise EvidenceError(f"the Registry never held this key for {log.origin}")
    if (registered.key_class, registered.from_block) != (key.key_class, key.from_block):
        raise EvidenceError(
            f"the Registry holds this key as {registered.key_class} from block {registered.from_block}, "
            f"the file as {key.key_class} from block {key.from_block}"
        )
    if key.to_block not in (None, registered.to_block):
        raise EvidenceError(f"the file ends the key in block {key.to_block}, the Registry in {registered.to_block}")
    return registered


def check_key_end(to_block: int, anchor: Anchor | None) -> None:
    """Raises `EvidenceError` unless an ended key's entry was anchored while the key was in force."""
    if anchor is None or anchor.block > to_block:
        raise EvidenceError(f"the key ended in block {to_block}, and no anchor from before holds the entry")


def check_assignment_claim(entry: Entry, log: LogProof, assignment: Assignment) -> None:
    """Raises `EvidenceError` unless the claimed assignment is of this device, this log, this index and this date."""
    if assignment.device != entry.device or assignment.origin != log.origin:
        raise EvidenceError("the assignment is another device's or another log's than the entry's")
    if assignment.urn is not None and device_id(assignment.urn) != assignment.device:
        raise EvidenceError(f"{assignment.urn[:80]} is not the name of this device")
    last_index = log.index if assignment.last_index is None else assignment.last_index
    if not assignment.first_index <= log.index <= last_index:
        raise EvidenceError(f"entry {log.index} is outside the device's {assignment.first_index} to {last_index}")
    binding = assignment.binding
    boundary = parse_boundary_quantity(entry.quantity) if entry.kind is Kind.READING else None
    if binding and boundary and not binding.from_date <= boundary.day <= (binding.to_date or boundary.day):
        raise EvidenceError(f"boundary {boundary.day} is outside the binding, {binding.from_date} to {binding.to_date}")


def check_assignment(log: LogProof, assignment: Assignment, registered: Iterable[RegisteredAssignment]) -> None:
    """Raises `EvidenceError` unless the Registry gives the device to this log over the entry's index."""
    claimed = (origin_id(log.origin), assignment.first_index, assignment.block)
    for held in registered:
        if (held.origin_id, held.first_index, held.block) != claimed:
            continue
        if held.last_index is not None and held.last_index < log.index:
            raise EvidenceError(f"the Registry ended the assignment at {held.last_index}, before entry {log.index}")
        if assignment.last_index in (None, held.last_index):
            return
    raise EvidenceError("the Registry holds no such assignment of the device to this log")


def check_binding(binding: Binding, registered: Iterable[RegisteredBinding]) -> RegisteredBinding:
    """The chain's record. Raises `EvidenceError` unless the device counts for this subject, confirmed if claimed."""
    claimed = (binding.unit, binding.role, binding.from_date)
    for held in registered:
        is_held = (held.subject, held.role, held.from_date) == claimed and binding.to_date in (None, held.to_date)
        if is_held and (held.confirmed or not binding.confirmed):
            return held
    raise EvidenceError("the Registry holds no such binding of the device to this unit or pool")
