# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Calendar dates
@license Apache-2.0
@notice Boundary dates are numbers YYYYMMDD and mean the local midnight that begins the day. A period is two of them,
        opening * 10^8 + closing. Turns a date into days since 1970 (H. Hinnant, chrono-compatible low-level date
        algorithms, days_from_civil) and into the eight ASCII digits that a boundary entry's quantity ends with.
"""

DAY_SECONDS: constant(uint256) = 86400


@internal
@pure
def _days(date: uint256) -> uint256:
    """
    @notice Days from 1970-01-01 to the date. Refuses a date that no calendar has.
    """
    year: uint256 = date // 10000
    month: uint256 = date // 100 % 100
    day: uint256 = date % 100
    assert year >= 1970 and year <= 9999 and month >= 1 and month <= 12 and day >= 1, "calendar: no such date"
    assert day <= self._month_days(year, month), "calendar: no such date"
    # Years begin in March, so that the leap day is a year's last.
    shifted: uint256 = year
    if month <= 2:
        shifted -= 1
    era: uint256 = shifted // 400
    year_of_era: uint256 = shifted % 400
    day_of_year: uint256 = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468


@internal
@pure
def _month_days(year: uint256, month: uint256) -> uint256:
    if month == 2:
        if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0):
            return 29
        return 28
    if month == 4 or month == 6 or month == 9 or month == 11:
        return 30
    return 31


@internal
@pure
def _midnight(date: uint256, utc_offset_seconds: int256) -> uint256:
    """
    @notice Unix seconds at which the date begins where local time is UTC plus the offset.
    """
    return convert(convert(self._days(date) * DAY_SECONDS, int256) - utc_offset_seconds, uint256)


@internal
@pure
def _boundary_quantity(quantity: bytes32, date: uint256) -> bytes32:
    """
    @notice The quantity of a boundary entry: `1-0:1.8.0` and 20261201 make `1-0:1.8.0*20261201`.
    """
    word: uint256 = convert(quantity, uint256)
    length: uint256 = 0
    for i: uint256 in range(32):
        if (word << (8 * i)) >> 248 == 0:
            break
        length += 1
    assert length <= 23, "calendar: quantity leaves no room for a date"
    suffix: uint256 = 42
    divisor: uint256 = 10**7
    for i: uint256 in range(8):
        suffix = (suffix << 8) | (48 + date // divisor % 10)
        divisor //= 10
    return convert(word | (suffix << (8 * (23 - length))), bytes32)
