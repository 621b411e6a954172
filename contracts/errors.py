"""Every error of the ground floor. A message names the thing and the values and says what to do."""


class ContractsError(Exception):
    """Something does not follow the bytes, texts or rules that the parties agreed on."""


class ClockError(ContractsError):
    """A clock's settings do not describe a running clock."""


class EntryError(ContractsError):
    """224 bytes, or the fields for them, are not a canonical entry."""


class QuantityError(EntryError):
    """A quantity's name is not one that an entry of this kind may carry."""


class DetailError(ContractsError):
    """Detail bytes are not the narrow canonical JSON, or not what the entry's digest names."""


class TreeError(ContractsError):
    """A Merkle proof, a frontier or a position does not fit an RFC 9162 tree."""


class KeyFormatError(ContractsError):
    """A key or a signature is not encoded as agreed, so it cannot even be tried."""


class SignatureError(ContractsError):
    """A well-formed signature was not made by this key over this message."""


class NoteError(ContractsError):
    """A text is not a C2SP signed note."""


class CheckpointError(ContractsError):
    """A text is not a checkpoint of the log it should be of."""


class TileError(ContractsError):
    """A path names no tile, or bytes are not the tile or entry bundle that they should be."""


class WitnessError(ContractsError):
    """A request to a witness, or its answer, is not in the form of C2SP tlog-witness."""


class BatchError(ContractsError):
    """Bytes from a gateway are not a batch; nothing of them was taken."""


class BatchTooLargeError(BatchError):
    """A batch passes the limit of entries or bytes; send it in parts."""


class SegmentError(ContractsError):
    """Bytes are not a segment's frame, or its entries do not give the root that was signed."""


class CopyError(ContractsError):
    """A text is not a copy's acknowledgement of this log, or was not signed by this copy."""


class MailError(ContractsError):
    """A downlink message is malformed, out of order or not signed by who may say it."""


class EvidenceError(ContractsError):
    """A file is not evidence in the format this program reads."""


class TrustError(ContractsError):
    """A trust file does not name its roots in the format this program reads."""


class RpcError(ContractsError):
    """A chain node did not answer, answered nonsense, or serves another chain: nothing is known, nothing is refuted."""
