"""Labels: which printed codes belong to which device (Labels.vy).

The call that only an enacted batch may make stands in `labels_changes`.
"""

from contracts.abi import Call, Function, encode_arguments

_REVOKE_LABEL = Function("revoke_label", bytes.fromhex("678fa15c"), ("bytes32",), ())
_LABEL = Function("label", bytes.fromhex("24c07ff5"), ("bytes32", "bytes32", "uint256"), ("bool", "bool"))


def deploy(bytecode: bytes, *, registry: str) -> bytes:
    """Creation data: the compiled bytecode with its constructor's arguments."""
    return bytecode + encode_arguments("Labels", ("address",), (registry,))


def revoke_label(to: str, *, digest: bytes) -> Call:
    """Manager or committee takes a label out of use at once.

    Args:
        digest: `contracts.label.label_digest` of its code.
    """
    return _REVOKE_LABEL.call(to, digest)


def label(to: str, *, digest: bytes, device: bytes, place: int) -> Call:
    """Whether a label was bound to a device and place (`contracts.label.Place`), and whether it was revoked since."""
    return _LABEL.call(to, digest, device, place)


def parse_label(result: bytes) -> tuple[bool, bool]:
    """The result of `label`: bound, revoked."""
    is_bound, is_revoked = _LABEL.decode(result)
    return is_bound, is_revoked
