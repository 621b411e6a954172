"""A meter swap's file: what installer and owner sign is the contract's own digest, and damaged files are refused."""

import json
from dataclasses import replace

import pytest

from contracts.detail import canonical_json
from contracts.errors import ContractsError
from contracts.meter_swap import (
    METER_SWAP_BYTES_MAX,
    MeterSwapError,
    format_meter_swap,
    meter_swap_to_json,
    parse_meter_swap,
    verify_meter_swap,
)
from tests.vectors.crew_cases import changed
from tests.vectors.meter_swap_cases import meter_swap_vectors

VECTORS = meter_swap_vectors()
SIGNED = parse_meter_swap(json.dumps(VECTORS["value"]).encode())


def test_a_file_is_read_as_it_was_written_and_its_installer_signed_it() -> None:
    assert meter_swap_to_json(SIGNED) == VECTORS["value"]
    assert parse_meter_swap(format_meter_swap(SIGNED)) == SIGNED
    verify_meter_swap(SIGNED)


@pytest.mark.parametrize(
    "change",
    [
        lambda file: replace(file, noted=replace(file.noted, closing=file.noted.closing + 10)),
        lambda file: replace(file, closing_photo=bytes(32)),
        lambda file: replace(file, subject=bytes(32)),
        lambda file: replace(file, contract="0x" + "b2" * 20),
    ],
)
def test_another_swap_than_the_one_that_was_signed_is_refused(change) -> None:
    with pytest.raises(MeterSwapError, match="signature does not hold"):
        verify_meter_swap(replace(SIGNED, file=change(SIGNED.file)))


@pytest.mark.parametrize("number", range(len(VECTORS["invalid"])))
def test_a_damaged_file_is_refused(number: int) -> None:
    vector = VECTORS["invalid"][number]
    with pytest.raises(ContractsError):
        parse_meter_swap(canonical_json(changed(VECTORS["value"], vector["path"], vector["put"])))


def test_a_file_without_end_is_not_read() -> None:
    with pytest.raises(MeterSwapError):
        parse_meter_swap(b"{" + b" " * METER_SWAP_BYTES_MAX)
