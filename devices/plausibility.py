"""Which values a device cannot have meant: they are logged as suspect and never billed."""

from dataclasses import dataclass

HOUR_MS = 3_600_000
REGISTER_FELL = "register-fell"
TOO_FAST = "too-fast"
BELOW_MINIMUM = "below-minimum"
ABOVE_MAXIMUM = "above-maximum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a profile says a quantity can be, in its base unit. `cumulative` registers never fall."""

    cumulative: bool = False
    minimum: int | None = None
    maximum: int | None = None
    rise_per_hour_max: int | None = None
    register_step: int = 1
    """The register's resolution: a rise of one step is always believed."""


def suspicions(limits: Limits | None, value: int, at_ms: int, previous: tuple[int, int] | None) -> tuple[str, ...]:
    """Why a value is suspect; empty for a believable one.

    Args:
        limits: of the quantity, None where the profile gives none.
        value: in the base unit.
        at_ms: when it was observed.
        previous: the last believed value and when it was observed, None for the first.
    """
    if limits is None:
        return ()
    found = []
    if limits.minimum is not None and value < limits.minimum:
        found.append(BELOW_MINIMUM)
    if limits.maximum is not None and value > limits.maximum:
        found.append(ABOVE_MAXIMUM)
    if previous is not None and limits.cumulative:
        rise = value - previous[0]
        if rise < 0:
            found.append(REGISTER_FELL)
        elif limits.rise_per_hour_max is not None and rise > limits.register_step:
            # Cross-multiplied, so that no division rounds: rise / elapsed > maximum / hour.
            elapsed_ms = max(at_ms - previous[1], 1)
            if (rise - limits.register_step) * HOUR_MS > limits.rise_per_hour_max * elapsed_ms:
                found.append(TOO_FAST)
    return tuple(found)
