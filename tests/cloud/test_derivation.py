"""Derivations: a sentence says the data's numbers and no others, in both languages the same ones in one order."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from cloud.billing.derivation import sentence
from cloud.billing.derive import derive_lines
from cloud.billing.period_columns import reckon_period
from cloud.billing.reckoning import Reckoning
from cloud.billing.usage import load_registers
from cloud.directory import EMPTY
from cloud.store import Store
from contracts.bill import LINE_BYTES, LineKind, decode_line
from tests.cloud.billing_site import DATES, PERIOD, random_site

Run = Callable[[Any], Any]

_NUMBER = re.compile(r"(?<![\w.:-])\d[\d.:-]*\d|(?<![\w.:-])\d")


def numbers(text: str) -> list[str]:
    """Dates, registers, quantities and sums of money, as they stand."""
    return _NUMBER.findall(text)


def leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in leaves(one)]
    if isinstance(value, list | tuple):
        return [leaf for one in value for leaf in leaves(one)]
    return [str(value)]


def shown(derivation: Any) -> set[str]:
    """Every form in which a number of the data may be shown: as it is, in fen, Wh, 0.01 m² or nanofen a Wh."""
    found: set[str] = set()
    for leaf in leaves(derivation):
        found.add(leaf)
        if re.fullmatch(r"\d+", leaf):
            number = Decimal(leaf)
            found.add(f"{number / 100:.2f}")
            for divisor in (1, 100, 1000, 10**8):
                text = f"{number / divisor:f}"
                found.add(text.rstrip("0").rstrip(".") if "." in text else text)
    return found


@pytest.mark.parametrize(
    ("quantity", "used", "english", "chinese"),
    [
        ("1-0:1.8.0", "1234560", "1234.56 kWh", "1234.56 千瓦时"),
        ("8-0:1.0.0", "12345000", "12.345 m³", "12.345 立方米"),
        ("7-0:3.0.0", "12345", "12.345 m³", "12.345 立方米"),
    ],
)
def test_a_meters_usage_is_said_in_the_unit_of_its_display(
    quantity: str, used: str, english: str, chinese: str
) -> None:
    line = {
        "kind": "own",
        "quantity": quantity,
        "from": "2026-10-23",
        "to": "2026-11-23",
        "amount": "100",
        "used": used,
    }
    assert english in sentence(line, "en") and chinese in sentence(line, "zh")


@pytest.mark.parametrize("seed", range(4))
def test_both_sentences_say_the_datas_numbers_and_no_others(run: Run, store: Store, seed: int) -> None:
    site = random_site(seed)

    async def scenario() -> None:
        await site.write(store)
        async with store.read() as connection:
            registers = await load_registers(connection, site.view, dates=DATES, since=Reckoning.history_since(PERIOD))
        await store.close()
        alone = Reckoning(registers, site.view, EMPTY, PERIOD)
        lines = [one for some in alone.own_lines(site.view.roll) for one in some]
        lines += [one for pool in site.view.pools for some in alone.shared_lines(pool) for one in some]
        lines += [one for unit in site.view.roll for one in alone.standing_lines(unit)]
        assert {one.line.kind for one in lines} >= {
            LineKind.OWN,
            LineKind.ESTIMATED,
            LineKind.SHARED,
            LineKind.STANDING,
        }
        for one in lines:
            chinese, english = sentence(one.derivation, "zh"), sentence(one.derivation, "en")
            assert numbers(english) == numbers(chinese), (english, chinese)
            assert set(numbers(english)) <= shown(one.derivation), (english, one.derivation)
            assert f"{one.line.amount / 100:.2f}" in english
            for span in one.derivation.get("spans", ()):
                assert int(span["usage"]) == int(span["closing"]["value"]) - int(span["opening"]["value"])
            if one.line.kind is LineKind.OWN and one.derivation.get("spans"):
                assert sum(int(span["usage"]) for span in one.derivation["spans"]) == one.line.usage
            swapped = english.partition("Meters took each other's place: ")[2]
            has_swapped = len({span["device"] for span in one.derivation.get("spans", ())}) > 1
            assert bool(swapped) == (has_swapped and len(one.derivation["registers"]) == 1)
            if one.line.kind in (LineKind.OWN, LineKind.ESTIMATED):
                assert sum(int(step["used"]) for step in one.derivation["steps"]) == one.line.usage
                assert sum(int(register["usage"]) for register in one.derivation["registers"]) == one.line.usage

    run(scenario())


def test_a_posted_bills_derivations_are_made_again_and_a_padded_line_has_none(run: Run, store: Store) -> None:
    site = random_site(2, odd=0.0)

    async def scenario() -> None:
        await site.write(store)
        async with store.read() as connection:
            period = await reckon_period(connection, view=site.view, directory=EMPTY, period=PERIOD)
            for unit in site.view.roll[::7]:
                (content,) = period.contents([bytes(16)], unit.index)
                words = bytearray(content[16:])
                lines = [decode_line(bytes(words[at : at + LINE_BYTES])) for at in range(0, len(words), LINE_BYTES)]
                found = await derive_lines(connection, site.view, EMPTY, period=PERIOD, unit=unit, lines=lines)
                assert all(one["matches"] for one in found)
                assert [one["amount"] for one in found] == [str(line.amount) for line in lines]
                words[LINE_BYTES - 1] ^= 1
                padded = [decode_line(bytes(words[:LINE_BYTES])), *lines[1:]]
                again = await derive_lines(connection, site.view, EMPTY, period=PERIOD, unit=unit, lines=padded)
                assert [one["matches"] for one in again] == [False, *[True] * (len(lines) - 1)]
                assert sentence(again[0], "en").endswith(
                    "yuan; the signed readings that are held do not give this line."
                )
                assert numbers(sentence(again[0], "en")) == numbers(sentence(again[0], "zh"))
                assert set(numbers(sentence(again[0], "en"))) <= shown(again[0]), "no usage that nobody counted"
        await store.close()

    run(scenario())
