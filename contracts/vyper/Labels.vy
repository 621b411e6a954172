# pragma version 0.4.3
# pragma nonreentrancy on
# pragma optimize codesize
"""
@title Labels
@license Apache-2.0
@notice Which printed codes belong to which device, and where on it they stick. A label is known here by its digest alone
        (`contracts/label.py`), so that nobody can read codes off the chain. It is no witness of anything: it leads people
        to the right page. Therefore it must not be moved silently, and may be taken out of use at once.

        Invariants
        - A label is bound once, to one device and place, by two parties and after the Registry's delay; never anew.
        - Manager or committee revokes a label at once, for a sticker that was torn off or copied; that is for ever.
        - The events alone rebuild the state.
"""


interface Registry:
    def manager() -> address: view
    def committee() -> address: view


LABELS_MAX: constant(uint256) = 12  # of one call: with selector, device and lengths 28 words of the Registry's 32
PLACES_END: constant(uint256) = 16
REVOKED: constant(uint256) = 1
BOUND: constant(uint256) = 2

REGISTRY: immutable(Registry)


struct Label:
    digest: bytes32
    place: uint256  # 1 car, 2 machine room, 3 display, 4 housing


# By digest: Keccak-256 of device and place, its two lowest bits for whether the label is bound and whether it is revoked.
labels: HashMap[bytes32, uint256]


event LabelBound:
    device: indexed(bytes32)
    digest: indexed(bytes32)
    place: uint256


event LabelRevoked:
    digest: indexed(bytes32)
    by: address


@deploy
def __init__(registry: address):
    """
    @notice The labels of the Registry's site.
    """
    REGISTRY = Registry(registry)


@external
def bind_labels(device: bytes32, labels: DynArray[Label, LABELS_MAX]):
    """
    @notice Inner. Labels of a device, those that stick on it and the spares that wait in a drawer. Reached only through the
            Registry's `enact`.
    @param device SHA-256 of its URN.
    """
    assert msg.sender == REGISTRY.address, "labels: only an enacted batch may do this"
    assert device != empty(bytes32), "labels: device is missing"
    for label: Label in labels:
        assert label.digest != empty(bytes32), "labels: label is missing"
        assert label.place != 0 and label.place < PLACES_END, "labels: no such place"
        assert self.labels[label.digest] == 0, "labels: label was bound before"
        self.labels[label.digest] = self._of(device, label.place) | BOUND
        log LabelBound(device=device, digest=label.digest, place=label.place)


@external
def revoke_label(digest: bytes32):
    """
    @notice Manager or committee takes a label out of use at once.
    """
    if msg.sender != staticcall REGISTRY.manager():
        assert msg.sender == staticcall REGISTRY.committee(), "labels: only manager or committee may do this"
    word: uint256 = self.labels[digest]
    assert word & BOUND != 0, "labels: nobody bound this label"
    assert word & REVOKED == 0, "labels: label is revoked already"
    self.labels[digest] = word | REVOKED
    log LabelRevoked(digest=digest, by=msg.sender)


@external
@view
@reentrant
def label(digest: bytes32, device: bytes32, place: uint256) -> (bool, bool):
    """
    @notice Whether a label was bound to this device and place, and whether it was revoked since.
    """
    word: uint256 = self.labels[digest]
    is_bound: bool = word & ~REVOKED == self._of(device, place) | BOUND
    return is_bound, is_bound and word & REVOKED != 0


@internal
@pure
def _of(device: bytes32, place: uint256) -> uint256:
    return (convert(keccak256(abi_encode(device, place)), uint256) >> 2) << 2
