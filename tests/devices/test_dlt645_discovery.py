"""Finding meters by wildcards, against a bus that is only a set of addresses."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from devices.dlt645.discovery import ADDRESS_DATA_ID, Discovery
from devices.dlt645.request import Answered, NoAnswer, Outcome, ReadData

addresses = st.text("0123456789", min_size=12, max_size=12)


def bus_answer(request: ReadData, meters: set[str]) -> Outcome:
    answering = [meter for meter in meters if meter.endswith(request.address.lstrip("A"))]
    if len(answering) == 1:
        wire = bytes.fromhex(answering[0])[::-1]
        return Answered(request=request, address=answering[0], data=wire)
    return NoAnswer(request=request, tries=1, is_collision=bool(answering))


def search_all(search: Discovery, bus: Callable[[ReadData], Outcome]) -> int:
    """How many questions it took."""
    asked = 0
    while search.request is not None:
        assert search.request.data_id == ADDRESS_DATA_ID
        search.take(bus(search.request))
        asked += 1
    return asked


@given(st.sets(addresses, max_size=30))
def test_every_meter_is_found_once(meters: set[str]) -> None:
    search = Discovery()
    asked = search_all(search, lambda request: bus_answer(request, meters))
    assert sorted(search.found) == sorted(meters)
    assert asked <= 1 + 100 * 6 * max(1, len(meters))


def test_an_empty_bus_costs_one_question() -> None:
    search = Discovery()
    assert search_all(search, lambda request: bus_answer(request, set())) == 1
    assert search.found == ()


def test_a_thorough_search_looks_behind_a_loud_meter() -> None:
    def loud(request: ReadData) -> Outcome:
        """Meter ...01 drowns out ...0101 wherever both answer."""
        outcome = bus_answer(request, {"000000000001", "000000000101"})
        return outcome if not request.address.endswith("A") else bus_answer(request, {"000000000001"})

    for is_thorough, count in ((False, 1), (True, 2)):
        search = Discovery(is_thorough=is_thorough)
        search_all(search, loud)
        assert len(search.found) == count
