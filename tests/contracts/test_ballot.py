"""Ballots in a batch: grouped by what they share, with the tail of their client data."""

from dataclasses import replace

import pytest

from contracts.ballot import BATCH_MAX, BallotError, HeldBallot, SignedBallot, batch_of, held_ballots
from contracts.person import PersonSignature
from contracts.quorum import Choice

CLIENT = b'{"type":"webauthn.get","challenge":"AA","origin":"https://minglou.example"'


def ballot(place: int, *, says: int = 1, sequence: int = 1, data: bytes = b"", tail: bytes = b"") -> SignedBallot:
    signature = PersonSignature(
        key_id=place.to_bytes(32),
        nonce=sequence,
        deadline=9,
        r=1,
        s=2,
        authenticator_data=data,
        client_data=CLIENT + tail if tail else b"",
    )
    return SignedBallot(says=says, signature=signature)


def test_ballots_that_say_the_same_alike_share_a_group() -> None:
    passkeys = [ballot(place, says=1 + place % 2, data=b"data", tail=b"}") for place in range(4)]
    batch = batch_of([*passkeys, ballot(9), ballot(8, data=b"data", tail=b',"crossOrigin":false}')])
    assert batch.groups == (
        (1, 1, 1, b"", b""),
        (1, 1, 1, b"data", b',"crossOrigin":false}'),
        (2, 1, 1, b"data", b"}"),
        (2, 2, 1, b"data", b"}"),
    )
    assert [int.from_bytes(each.signature.key_id) for each in batch.ballots] == [9, 8, 0, 2, 1, 3]


def test_within_a_group_the_order_is_the_callers() -> None:
    batch = batch_of([ballot(3), ballot(1), ballot(2)], order=lambda each: each.signature.key_id)
    assert [int.from_bytes(each.signature.key_id) for each in batch.ballots] == [1, 2, 3]


def test_a_batch_has_limits() -> None:
    batch_of([ballot(place) for place in range(BATCH_MAX)])
    with pytest.raises(BallotError, match="101 ballots"):
        batch_of([ballot(place) for place in range(BATCH_MAX + 1)])
    with pytest.raises(BallotError, match="17 groups"):
        batch_of([ballot(place, says=place) for place in range(17)])


@pytest.mark.parametrize("sequence", [0, 16])
def test_a_sequence_number_is_1_to_15(sequence: int) -> None:
    with pytest.raises(BallotError, match="sequence number"):
        ballot(1, sequence=sequence)


@pytest.mark.parametrize(
    "client", [b"[]", b"{", b"{}", b'{"origin":"x"}', b'{"origin":"x","type":"webauthn.get","challenge":"AA"}']
)
def test_client_data_that_a_contract_cannot_rebuild_is_named(client: bytes) -> None:
    signed = ballot(1, data=b"data", tail=b"}")
    with pytest.raises(BallotError, match="client data"):
        replace(signed, signature=replace(signed.signature, client_data=client)).tail()


def test_a_word_holds_sixteen_heads() -> None:
    word = (1 | 1 << 4) | (2 | 4 | 3 << 4 | 77 << 8) << 16 | (3 | 8) << 240
    assert held_ballots(4, word) == {
        64: HeldBallot(Choice.IN_FAVOUR, False, False, 1, 0),
        65: HeldBallot(Choice.AGAINST, True, False, 3, 77),
        79: HeldBallot(Choice.ABSTAIN, False, True, 0, 0),
    }
