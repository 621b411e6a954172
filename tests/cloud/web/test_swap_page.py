"""What an owner reads of a swap: both registers in the unit that stands on the meter's own display."""

from dataclasses import replace

import pytest

from tests.cloud.web.conftest import SignIn
from tests.cloud.web.swap_world import SWAP
from tests.cloud.web.test_pages import text_of
from tests.cloud.web.world import DOOR, OWNER, World

PAGE = f"/bills/{DOOR}/swaps/{SWAP.visit.hex()}"
ENERGY, WATER, GAS = "1-0:1.8.0", "8-0:1.0.0", "7-0:3.0.0"


@pytest.mark.parametrize(
    ("quantity", "closing", "english", "chinese"),
    [
        (ENERGY, 1_234_560, "1,234.56 kWh", "1,234.56 度"),
        (WATER, 1_234_567_000, "1,234.567 m³", "1,234.567 m³"),
        (WATER, 1_234_567_890, "1,234.56789 m³", "1,234.56789 m³"),
        (GAS, 98_765, "98.765 m³", "98.765 m³"),
    ],
    ids=["energy", "water", "water to the last drop", "gas"],
)
def test_a_swaps_registers_stand_in_the_meters_own_unit(
    world: World, sign_in: SignIn, quantity: str, closing: int, english: str, chinese: str
) -> None:
    world.swap = replace(SWAP, noted=replace(SWAP.noted, quantity=quantity, closing=closing))
    client = sign_in(OWNER)
    page = client.get(PAGE, headers={"accept-language": "en"}).text
    assert f'data-quantity="{quantity}" data-closing="{closing}"' in page, "what the script compares before it signs"
    assert f"Old meter showed {english}" in text_of(page)
    assert f"The gateway read {english} at" in text_of(page)
    spoken = text_of(client.get(PAGE, headers={"accept-language": "zh"}).text)
    assert f"读到 {chinese}" in spoken
    if quantity != ENERGY:
        assert "kWh" not in page and "度" not in spoken and "千瓦时" not in spoken
