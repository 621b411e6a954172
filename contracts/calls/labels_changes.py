"""What Labels takes from an enacted batch alone: an inner call, to be announced with `registry.announce`."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.abi import Call, Function

LABELS_MAX = 12  # of one call

_BIND_LABELS = Function("bind_labels", bytes.fromhex("4f72b9fa"), ("bytes32", "(bytes32,uint256)[]"), ())


@dataclass(frozen=True, slots=True)
class NewLabel:
    """A label that is to be bound."""

    digest: bytes  # `contracts.label.label_digest` of its code
    place: int  # `contracts.label.Place`


def bind_labels(to: str, *, device: bytes, labels: Sequence[NewLabel]) -> Call:
    """At most 12 labels of a device, spares among them.

    Args:
        device: SHA-256 of its URN.
    """
    return _BIND_LABELS.call(to, device, [(label.digest, label.place) for label in labels])
