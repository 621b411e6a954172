"""What the cloud's head of our log means: may the signer sign, must it wait, or has a newer history our signature?"""

from dataclasses import dataclass
from enum import Enum

from contracts.checkpoint import Checkpoint, open_checkpoint
from contracts.errors import ContractsError
from edge.log_reader import LogReader
from edge.uplink import Head


class Verdict(Enum):
    """What to do."""

    SIGN = "sign"  # the head is a prefix of our log, or there is none
    WAIT = "wait"  # what the cloud shows is not ours; nothing is learned from it
    NEW_EPOCH = "new epoch"  # our own valid signature over a log that we do not hold


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSeen:
    """A judged head."""

    verdict: Verdict
    size: int
    checkpoint: Checkpoint | None
    says: str


def judge_head(head: Head, origin: str, public: bytes, reader: LogReader) -> HeadSeen:
    """Compare the cloud's head with our own log.

    A cloud that shows less than it took, or a head that our key did not sign, cannot make us open an epoch: only our
    own valid signature can, for nobody else could have made it.
    """
    if head.size == 0 or head.note is None:
        return HeadSeen(verdict=Verdict.SIGN, size=0, checkpoint=None, says="the cloud holds nothing of this log")
    try:
        checkpoint = open_checkpoint(head.note, public).checkpoint
    except ContractsError as error:
        says = f"the cloud shows a head that this gateway did not sign ({error}); waiting for a true one"
        return HeadSeen(verdict=Verdict.WAIT, size=0, checkpoint=None, says=says)
    if checkpoint.origin != origin:
        says = f"the cloud shows the head of {checkpoint.origin} instead of {origin}; waiting for the right one"
        return HeadSeen(verdict=Verdict.WAIT, size=0, checkpoint=None, says=says)
    size = reader.size()
    if checkpoint.size > size:
        says = f"our own signature is over {checkpoint.size} entries, the store holds {size}: it was restored"
        return HeadSeen(verdict=Verdict.NEW_EPOCH, size=checkpoint.size, checkpoint=checkpoint, says=says)
    if reader.frontier_at(checkpoint.size).root() != checkpoint.root:
        says = f"our own signature is over another root at {checkpoint.size} entries: the store was changed"
        return HeadSeen(verdict=Verdict.NEW_EPOCH, size=checkpoint.size, checkpoint=checkpoint, says=says)
    return HeadSeen(verdict=Verdict.SIGN, size=checkpoint.size, checkpoint=checkpoint, says="the head is ours")
