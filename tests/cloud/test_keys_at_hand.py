"""More devices than keys are kept ready for are served from the key store, and not all of them."""

from collections.abc import Sequence

from cloud.identity.keys_at_hand import KeysAtHand

PLACES = 320


def share_found(held: KeysAtHand[int, int], names: Sequence[int]) -> float:
    """One round of these devices, a few at a time as batches come, in which those that are missing are read."""
    count = 0
    for at in range(0, len(names), 8):
        some = names[at : at + 8]
        found = held.find(some)
        count += len(found)
        held.keep((name, name) for name in some if name not in found)
        assert len(held) <= PLACES
    return count / len(names)


def test_a_round_of_more_devices_than_places_still_finds_most_of_what_fits() -> None:
    held = KeysAtHand[int, int](PLACES)
    devices = range(PLACES * 3 // 2)
    shares = [share_found(held, devices) for _ in range(30)]
    assert min(shares[1:]) > 0.5, "of two thirds that fit"


def test_a_round_that_fits_is_found_whole() -> None:
    held = KeysAtHand[int, int](PLACES)
    assert [share_found(held, range(PLACES)) for _ in range(3)] == [0, 1, 1]


def test_devices_that_ended_give_their_places_to_those_that_report_now() -> None:
    held = KeysAtHand[int, int](PLACES)
    share_found(held, range(PLACES))
    rounds = [share_found(held, range(PLACES, PLACES + PLACES // 2)) for _ in range(200)]
    assert rounds[0] == 0 and rounds[-1] == 1
