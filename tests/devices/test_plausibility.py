"""What a device cannot have meant."""

import pytest

from devices.plausibility import HOUR_MS, Limits, suspicions

LIMITS = Limits(cumulative=True, minimum=0, maximum=999_999_990, rise_per_hour_max=20_000, register_step=10)


@pytest.mark.parametrize(
    ("value", "elapsed_ms", "found"),
    [
        (1_000_000, HOUR_MS, ()),
        (1_000_010, 0, ()),  # one step of the register is always believed
        (1_020_010, HOUR_MS, ()),
        (1_020_011, HOUR_MS, ("too-fast",)),
        (999_990, HOUR_MS, ("register-fell",)),
        (-10, HOUR_MS, ("below-minimum", "register-fell")),
        (1_000_000_000, HOUR_MS, ("above-maximum", "too-fast")),
        (1_000_100, -HOUR_MS, ("too-fast",)),  # a clock that went back excuses nothing
    ],
)
def test_a_register_that_cannot_be_is_suspect(value: int, elapsed_ms: int, found: tuple[str, ...]) -> None:
    at_ms = 1_764_000_000_000
    assert suspicions(LIMITS, value, at_ms + elapsed_ms, (1_000_000, at_ms)) == found


def test_the_first_reading_has_only_its_range() -> None:
    assert suspicions(LIMITS, 5, 0, None) == ()


def test_a_quantity_without_limits_is_believed() -> None:
    assert suspicions(None, -5, 0, (7, 0)) == ()
