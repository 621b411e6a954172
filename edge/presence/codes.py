"""What the codes in a presence proof are worth. Pure: the same codes and evidence give the same finding.

A right code shows that somebody read the display at that time, in person or through whoever stood there and passed it
on at once; it does not show who. It is looked at beside the machine's own word for that reason.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from contracts.rotating import SLOT_S, Moment, is_token
from edge.visits.finding import Finding, PresenceFinding, worst
from edge.visits.judge import TOLERANCE_S

if TYPE_CHECKING:
    from contracts.presence import Presence, Scan

GUESSES_MAX = 5  # wrong codes of one signer in 24 hours, beyond which his codes are not judged
SPENT_BYTES = 8
_TAG = b"minglou/spent/1".ljust(32, b"\0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the gateway knows of a device's displays and doors over a visit's time."""

    device: bytes
    secrets: Sequence[bytes]  # of the displays beside the device
    is_heard: bool  # a display was heard all the time, and no clock was set meanwhile
    is_spent: Callable[[bytes], bool]  # whether a code served another visit, by its mark
    old: Sequence[
        tuple[bytes, int]
    ] = ()  # of displays that stood there before, and the slot from which they count no more
    is_damaged: bool = False  # a display is paired and its secret cannot be read
    is_disputed: bool = False  # another display may stand there than the one that was paired
    limited: Collection[int] = ()  # signers who guessed too often of late
    carded: Collection[int] = ()  # signers whose own card opened the machine room meanwhile

    @property
    def is_due(self) -> bool:
        """Whether whoever was there could have shown it: a display is paired."""
        return bool(self.secrets) or self.is_damaged

    def is_true(self, moment: Moment) -> bool:
        """Whether a display beside the device showed this."""
        secrets = [*self.secrets, *(secret for secret, until in self.old if moment.slot < until)]
        return any(is_token(secret, self.device, moment) for secret in secrets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signers:
    """Who signed a visit, and over what time it claims to have lasted."""

    keys: Sequence[bytes]  # key ids, in the record's order
    mechanics: int  # how many of them are mechanics
    started_at_s: int
    ended_at_s: int

    def is_in_time(self, moment: Moment) -> bool:
        """Whether a code was shown during the visit, as far as phones and displays agree on the time."""
        return self.started_at_s - TOLERANCE_S <= moment.starts_at_s <= self.ended_at_s + TOLERANCE_S


@dataclass(slots=True)
class _Count:
    """What one signer's codes came to."""

    right: list[tuple[int, bytes]]  # slot and mark
    used: int = 0
    wrong: int = 0


def spent_mark(device: bytes, slot: int, key_id: bytes) -> bytes:
    """What the log keeps of a code that one person spent, 8 bytes: it serves him no second time."""
    return sha256(_TAG + device + slot.to_bytes(8) + key_id).digest()[:SPENT_BYTES]


def find_codes(
    proof: "Presence | None", signers: Signers, evidence: Evidence, *, nonce: bool = False
) -> tuple[PresenceFinding, tuple[int, ...]]:
    """Judge every signer of a visit.

    Args:
        proof: what the visit brings, None where it brings nothing.
        nonce: whether the proof holds a nonce of this gateway.

    Returns:
        The finding, and each signer's number of wrong codes.
    """
    counts = [
        _count(number, key_id, proof.scans if proof else (), signers, evidence)
        for number, key_id in enumerate(signers.keys)
    ]
    words = tuple(_word(number, count, evidence) for number, count in enumerate(counts))
    right = sorted(one for count in counts for one in count.right)
    slots = tuple(dict.fromkeys(slot for slot, _ in right))
    finding = PresenceFinding(
        word=worst(words[: signers.mechanics]),
        signers=words,
        slots=slots,
        spent=tuple(mark for _, mark in right),
        dwell_s=(slots[-1] - slots[0]) * SLOT_S if slots else 0,
        wrong=sum(count.wrong for count in counts),
        used=sum(count.used for count in counts),
        doors=len(set(evidence.carded)),
        limited=bool(evidence.limited),
        nonce=nonce,
        inside=proof.inside if proof else None,
        is_due=evidence.is_due,
        is_silent=evidence.is_due and not evidence.is_heard,
    )
    return finding, tuple(count.wrong for count in counts)


def _count(number: int, key_id: bytes, scans: "Sequence[Scan]", signers: Signers, evidence: Evidence) -> _Count:
    count = _Count(right=[])
    if number in evidence.limited or not (evidence.secrets or evidence.old):
        return count
    for moment, is_read_then in _read_by(number, scans).items():
        mark = spent_mark(evidence.device, moment.slot, key_id)
        if not evidence.is_true(moment):
            count.wrong += bool(evidence.secrets) and not (evidence.is_disputed or evidence.is_damaged)
        elif evidence.is_spent(mark):
            count.used += 1
        elif is_read_then and signers.is_in_time(moment):
            count.right.append((moment.slot, mark))
        # What is left is a true code of another time, which says nothing about this one.
    return count


def _read_by(number: int, scans: "Sequence[Scan]") -> dict[Moment, bool]:
    """The codes of one signer, each with whether he says to have read it while it counted, by a phone's clock."""
    read: dict[Moment, bool] = {}
    for scan in scans:
        if scan.by == number and scan.moment is not None:
            is_read_then = scan.moment.is_current(scan.at_s, off_s=TOLERANCE_S)
            read[scan.moment] = read.get(scan.moment, False) or is_read_then
    return read


def _word(number: int, count: _Count, evidence: Evidence) -> Finding:
    if number in evidence.carded or count.right:
        return Finding.CONFIRMED
    if count.wrong:
        return Finding.CONTRADICTED
    # Who guessed too often stands as if he had brought nothing: guesses must not switch the display off.
    is_judged = bool(evidence.secrets) and not evidence.is_disputed
    return Finding.NOT_SEEN if is_judged and evidence.is_heard else Finding.NOT_OBSERVABLE
