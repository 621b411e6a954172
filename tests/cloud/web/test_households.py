"""Every route about one flat, taken from the table of rules: a neighbour is answered as of a flat that never was."""

import re
from typing import Any

import pytest

from cloud.identity.policy import RULES
from tests.cloud.web.conftest import SignIn
from tests.cloud.web.reader import Reader
from tests.cloud.web.swap_world import SWAP
from tests.cloud.web.world import DOOR, NEIGHBOUR, OTHER_DOOR, OWNER, PERIOD

SIGNED = {"nonce": "1", "deadline": "2", "digest": "00" * 32, "signature": "00" * 64, "public": "00" * 64}
BY_READINGS = ("GET", "/bills/{door}/{period}/lines/{number}/readings.json")  # no line here has any: interval_line.py
OF_A_FLAT = sorted(route for route in RULES if "{door}" in route[1] and route != BY_READINGS)
OF_A_SWAP = [route for route in OF_A_FLAT if "{digest}" in route[1]]
VALUES = {"period": PERIOD, "number": "0", "digest": SWAP.visit.hex(), "name": SWAP.closing_photo.hex()}  # all DOOR's


def address(path: str, door: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: {**VALUES, "door": door}[found[1]], path)


def signed(path: str) -> dict[str, str]:
    """What its page posts: a swap's digest stands in its address."""
    return {name: value for name, value in SIGNED.items() if name != "digest" or "{digest}" not in path}


@pytest.mark.parametrize(("method", "path"), OF_A_FLAT)
def test_no_household_reaches_anothers(sign_in: SignIn, stranger: Reader, method: str, path: str) -> None:
    options: dict[str, Any] = {"json": signed(path)} if method == "POST" else {}

    def status(reader: Reader, door: str) -> int:
        ask = reader.post if method == "POST" else reader.get
        return ask(address(path, door), **options).status_code

    assert status(sign_in(OWNER), DOOR) in (200, 202)
    assert status(sign_in(OWNER), OTHER_DOOR) == 404
    assert status(sign_in(NEIGHBOUR), DOOR) == 404
    assert status(stranger, DOOR) == 401


@pytest.mark.parametrize(("method", "path"), OF_A_SWAP)
def test_a_swap_is_not_reached_by_another_flats_own_address(sign_in: SignIn, method: str, path: str) -> None:
    assert len(OF_A_SWAP) == 4
    neighbour = sign_in(NEIGHBOUR)
    if method == "POST":
        assert neighbour.post(address(path, OTHER_DOOR), json=signed(path)).status_code == 404
    else:
        assert neighbour.get(address(path, OTHER_DOOR)).status_code == 404
