"""Labels: bound by two parties, never moved, revoked at once by either."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.calls import labels, labels_changes, labels_events, registry_changes
from contracts.calls.labels_changes import NewLabel
from contracts.label import Place, label_digest
from contracts.vyper.compile import artifact
from tests.contracts.vyper.chain import Receipt
from tests.contracts.vyper.conftest import refused, undone
from tests.contracts.vyper.site import LIFT, METERS, Site

SNAPSHOT = Path(__file__).parent / "gas_labels.json"
CODES = ["0123456789ab", "bcdefghjkmnp", "pqrstvwxyz01", "z1z2z3z4z5z6"]
CAR, SPARE, ROOM, LATER = (label_digest(code) for code in CODES)


class Labelled:
    """The enrolled site, into whose directory the contract came by a batch: as one that was deployed without it."""

    def __init__(self, site: Site) -> None:
        self.site, self.chain = site, site.chain
        creation = labels.deploy(artifact("Labels").bytecode, registry=site.registry)
        self.at = self.chain.deploy(site.deployer, creation)
        site.enact(
            registry_changes.name_contract(site.registry, name=b"labels".ljust(32, b"\0"), at=self.at),
        )

    def bind(self, *found: tuple[bytes, int], device: bytes = LIFT) -> Receipt:
        new = [NewLabel(digest, place) for digest, place in found]
        return self.site.enact(labels_changes.bind_labels(self.at, device=device, labels=new))

    def standing(self, digest: bytes, place: int, device: bytes = LIFT) -> tuple[bool, bool]:
        asked = labels.label(self.at, digest=digest, device=device, place=place)
        return labels.parse_label(self.chain.view(asked))


@pytest.fixture(scope="module")
def named(enrolled: Site) -> Iterator[Labelled]:
    with undone(enrolled):
        yield Labelled(enrolled)


@pytest.fixture
def labelled(named: Labelled) -> Iterator[Labelled]:
    with undone(named.site):
        yield named


def events(receipt: Receipt) -> list[labels_events.Event]:
    parsed = (labels_events.parse_event(log.topics, log.data) for log in receipt.logs)
    return [event for event in parsed if event is not None]


def test_a_label_is_bound_by_two_parties_and_revoked_by_either_at_once(labelled: Labelled) -> None:
    receipt = labelled.bind((CAR, Place.CAR), (SPARE, Place.CAR), (ROOM, Place.MACHINE_ROOM))
    assert [event.digest for event in events(receipt)] == [CAR, SPARE, ROOM]
    assert labelled.standing(CAR, Place.CAR) == (True, False)
    for other in ((CAR, Place.MACHINE_ROOM, LIFT), (CAR, Place.CAR, METERS[0]), (LATER, Place.CAR, LIFT)):
        assert labelled.standing(*other) == (False, False)
    for party, digest in ((labelled.site.manager, CAR), (labelled.site.committee, ROOM)):
        receipt = labelled.chain.send(party, labels.revoke_label(labelled.at, digest=digest))
        assert events(receipt) == [labels_events.LabelRevoked(digest, party.lower())]
    assert labelled.standing(CAR, Place.CAR) == (True, True)
    assert labelled.standing(ROOM, Place.MACHINE_ROOM) == (True, True)
    assert labelled.standing(SPARE, Place.CAR) == (True, False)


def test_nobody_binds_or_revokes_a_label_alone(labelled: Labelled) -> None:
    bind = labels_changes.bind_labels(labelled.at, device=LIFT, labels=[NewLabel(CAR, Place.CAR)])
    for alone in (labelled.site.manager, labelled.site.committee, labelled.site.relayer):
        with refused("labels: only an enacted batch may do this"):
            labelled.chain.send(alone, bind)
    labelled.bind((CAR, Place.CAR))
    with refused("labels: only manager or committee may do this"):
        labelled.chain.send(labelled.site.relayer, labels.revoke_label(labelled.at, digest=CAR))


def test_a_label_is_never_moved_and_never_comes_back(labelled: Labelled) -> None:
    labelled.bind((CAR, Place.CAR))
    for place, device in ((Place.CAR, METERS[0]), (Place.MACHINE_ROOM, LIFT), (Place.CAR, LIFT)):
        with refused("labels: label was bound before"):
            labelled.bind((CAR, place), device=device)
    revoke = labels.revoke_label(labelled.at, digest=CAR)
    labelled.chain.send(labelled.site.manager, revoke)
    with refused("labels: label is revoked already"):
        labelled.chain.send(labelled.site.committee, revoke)
    with refused("labels: label was bound before"):
        labelled.bind((CAR, Place.CAR))
    with refused("labels: nobody bound this label"):
        labelled.chain.send(labelled.site.manager, labels.revoke_label(labelled.at, digest=SPARE))


def test_what_is_no_label_is_refused(labelled: Labelled) -> None:
    for label, device, reason in (
        ((bytes(32), 1), LIFT, "labels: label is missing"),
        ((CAR, 0), LIFT, "labels: no such place"),
        ((CAR, 16), LIFT, "labels: no such place"),
        ((CAR, 1), bytes(32), "labels: device is missing"),
    ):
        with refused(reason):
            labelled.bind(label, device=device)


def test_a_full_batch_of_labels_fits_one_call(labelled: Labelled) -> None:
    many = [(label_digest(f"00000000000{number:x}"), Place.HOUSING) for number in range(labels_changes.LABELS_MAX)]
    labelled.bind(*many)
    assert all(labelled.standing(digest, place) == (True, False) for digest, place in many)


def test_labels_cost_what_the_snapshot_says(labelled: Labelled) -> None:
    places = (Place.CAR, Place.CAR, Place.MACHINE_ROOM, Place.MACHINE_ROOM)
    bound = labelled.bind(*zip((CAR, SPARE, ROOM, LATER), places, strict=True))
    revoked = labelled.chain.send(labelled.site.manager, labels.revoke_label(labelled.at, digest=CAR))
    taken = {"labels.bind_four": bound.gas_used, "labels.revoke": revoked.gas_used}
    assert taken == pytest.approx(json.loads(SNAPSHOT.read_text()), rel=0.01), "if meant, put it into the snapshot"
