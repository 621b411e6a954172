# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Prices
@license Apache-2.0
@notice The terms of a price list, whether they are whole, and what they make of a usage. Terms travel as ABI bytes: the
        chain keeps their digest, whoever needs them brings them.

        Invariants
        - Seasons share the year's twelve months out once; in each the windows of the registers cover the day once, and
          may wrap midnight.
        - A price is a sum of named components, in nanofen (10^-9 fen) per base unit: 0.423625 CNY/kWh is 42,362,500.
        - All integers, one rounding half up to the fen. With one register a charge is the difference of two rounded
          running costs, so that parts of a year add up to the year; where tiers meet several registers, each tier's
          amount is shared over the registers in proportion to what they counted, and the sum is rounded once.
"""

import calendar

BOUNDS_MAX: constant(uint256) = 7
REGISTERS_MAX: constant(uint256) = 4
SEASONS_MAX: constant(uint256) = 4
WINDOWS_MAX: constant(uint256) = 12
COMPONENTS_MAX: constant(uint256) = 12
TERMS_BYTES: constant(uint256) = 10752

BASIS_METER: constant(uint256) = 1
BASIS_AREA: constant(uint256) = 2
BASIS_HEADS: constant(uint256) = 3
BASIS_COUNT: constant(uint256) = 4
BASIS_ONCE: constant(uint256) = 5

COUNT_NONE: constant(uint256) = 0
COUNT_PERIOD: constant(uint256) = 1
COUNT_YEAR: constant(uint256) = 2

KEY_AREA: constant(uint256) = 0
KEY_EQUAL: constant(uint256) = 1
KEY_TABLE: constant(uint256) = 2
KEY_VOLUME: constant(uint256) = 3

NANOFEN: constant(uint256) = 10**9
DAY_MINUTES: constant(uint256) = 1440
ALL_MONTHS: constant(uint256) = 8190  # bits 1 to 12
PRICE_END: constant(uint256) = 2**56
USAGE_END: constant(uint256) = 2**64
# A month has this many parts, whether it has 28, 29, 30 or 31 days: so a day of it is a whole number of them.
MONTH_PARTS: constant(uint256) = 377580


struct Component:
    name: bytes32
    tiers: uint256  # bit t: counts in tier t
    registers: uint256  # bit r: counts for register r
    price: uint256  # nanofen per base unit; of standing charges per unit of the basis and month


struct Season:
    months: uint256  # bit m: month m, 1 to 12
    bounds: DynArray[uint256, BOUNDS_MAX]  # where each tier but the last ends, base units
    persons: uint256  # residents whom the bounds are made for
    extra: uint256  # added to every bound for each resident above them
    windows: DynArray[uint256, WINDOWS_MAX]  # register << 32 | first minute << 16 | minute after the last
    components: DynArray[Component, COMPONENTS_MAX]


struct Terms:
    quantity: bytes32
    category: uint256  # of units that it applies to
    basis: uint256  # 1 meter, 2 floor area, 3 residents, 4 a stated count, 5 once
    counting: uint256  # tiers count over: 0 nothing, 1 the period, 2 the year
    key: uint256  # how a pool is shared: 0 area, 1 equal, 2 the roll's table, 3 volumes of the period
    document: bytes32  # digest of the published decision; of standing charges the right to them
    registers: DynArray[bytes32, REGISTERS_MAX]  # quantities of the time-of-use registers, or the one quantity
    seasons: DynArray[Season, SEASONS_MAX]


@internal
@pure
def _terms(encoded: Bytes[TERMS_BYTES]) -> Terms:
    return abi_decode(encoded, Terms)


@internal
@pure
def _check(terms: Terms):
    """
    @notice Refuse terms that leave a month or a minute without a season or register, or give it two, and tiers that do not rise.
    """
    assert terms.basis >= BASIS_METER and terms.basis <= BASIS_ONCE, "pricing: no such basis"
    assert terms.counting <= COUNT_YEAR and terms.key <= KEY_VOLUME, "pricing: no such counting or key"
    metered: bool = terms.basis == BASIS_METER
    assert metered == (len(terms.registers) != 0), "pricing: metered terms name registers, others none"
    months: uint256 = 0
    for season: Season in terms.seasons:
        assert months & season.months == 0, "pricing: a month is in two seasons"
        months |= season.months
        assert metered or (len(season.bounds) == 0 and season.extra == 0), "pricing: only metered terms have tiers"
        assert terms.counting != COUNT_NONE or len(season.bounds) == 0, "pricing: tiers count over nothing"
        below: uint256 = 0
        for bound: uint256 in season.bounds:
            assert bound > below and bound < USAGE_END, "pricing: tiers do not rise"
            below = bound
        assert season.extra < USAGE_END, "pricing: extra bound is out of range"
        if len(terms.registers) > 1:
            self._check_day(season.windows, len(terms.registers))
        for component: Component in season.components:
            assert component.price < PRICE_END, "pricing: price is out of range"
    assert months == ALL_MONTHS, "pricing: a month is in no season"


@internal
@pure
def _check_day(windows: DynArray[uint256, WINDOWS_MAX], registers: uint256):
    """
    @notice Each window begins where the one before ends, and together they are one day.
    """
    assert len(windows) != 0, "pricing: windows do not cover the day once"
    last: uint256 = windows[len(windows) - 1] % 2**16
    minutes: uint256 = 0
    for window: uint256 in windows:
        first: uint256 = (window >> 16) % 2**16
        assert window >> 32 < registers, "pricing: window is for no register"
        assert first == last and first < DAY_MINUTES, "pricing: windows do not cover the day once"
        last = window % 2**16
        assert last < DAY_MINUTES, "pricing: windows do not cover the day once"
        length: uint256 = (last + DAY_MINUTES - first) % DAY_MINUTES
        if length == 0:
            length = DAY_MINUTES
        minutes += length
    assert minutes == DAY_MINUTES, "pricing: windows do not cover the day once"


@internal
@pure
def _season(terms: Terms, from_date: uint256, to_date: uint256) -> Season:
    """
    @notice The season that holds every day from one boundary date up to the other.
    """
    last: uint256 = to_date // 100
    if to_date % 100 == 1:
        # A boundary on the 1st is the day after the line's last one.
        last -= 1
        if last % 100 == 0:
            last -= 88
    month: uint256 = from_date // 100
    months: uint256 = 0
    for step: uint256 in range(13):
        months |= 1 << (month % 100)
        if month >= last:
            break
        month = self._next_month(month)
    for season: Season in terms.seasons:
        if season.months & months == months:
            return season
    assert False, "pricing: the line crosses seasons"
    return empty(Season)


@internal
@pure
def _price(season: Season, tier: uint256, register: uint256) -> uint256:
    price: uint256 = 0
    for component: Component in season.components:
        if (component.tiers >> tier) & 1 == 1 and (component.registers >> register) & 1 == 1:
            price += component.price
    return price


@internal
@pure
def _charge(season: Season, residents: uint256, prior: uint256, used: DynArray[uint256, REGISTERS_MAX]) -> uint256:
    """
    @notice Fen for what the registers counted, after so much prior usage in the tiers' own time.
    """
    total: uint256 = 0
    for usage: uint256 in used:
        total += usage
    assert prior < USAGE_END and total < USAGE_END, "pricing: usage is out of range"
    widened: uint256 = 0
    if residents > season.persons:
        widened = season.extra * (residents - season.persons)
    if total == 0:
        return 0
    end: uint256 = prior + total
    cost_prior: uint256 = 0
    cost: uint256 = 0
    below: uint256 = 0
    for tier: uint256 in range(BOUNDS_MAX + 1):
        upper: uint256 = max_value(uint256)
        if tier < len(season.bounds):
            upper = season.bounds[tier] + widened
        # What of the prior usage and of all usage lies in this tier.
        first: uint256 = min(prior, upper) - min(prior, below)
        whole: uint256 = min(end, upper) - min(end, below)
        if len(used) == 1:
            price: uint256 = self._price(season, tier, 0)
            cost_prior += first * price
            cost += whole * price
        elif whole != first:
            for register: uint256 in range(REGISTERS_MAX):
                if register == len(used):
                    break
                if used[register] != 0:
                    cost += (whole - first) * used[register] * self._price(season, tier, register)
        below = upper
        if tier == len(season.bounds):
            break
    if len(used) == 1:
        return (cost + NANOFEN // 2) // NANOFEN - (cost_prior + NANOFEN // 2) // NANOFEN
    return (2 * cost + total * NANOFEN) // (2 * total * NANOFEN)


@internal
@pure
def _standing(season: Season, basis: uint256, count: uint256, from_date: uint256, to_date: uint256) -> uint256:
    """
    @notice Fen for so many units of the basis: once, or by the month, a day of which is its part of that month.
    """
    assert count < USAGE_END, "pricing: usage is out of range"
    parts: uint256 = MONTH_PARTS
    if basis != BASIS_ONCE:
        parts = self._parts(from_date, to_date)
    divisor: uint256 = MONTH_PARTS * NANOFEN
    return (2 * count * self._price(season, 0, 0) * parts + divisor) // (2 * divisor)


@internal
@pure
def _parts(from_date: uint256, to_date: uint256) -> uint256:
    """
    @notice Months between two boundary dates, in parts of a month.
    """
    parts: uint256 = 0
    date: uint256 = from_date
    for step: uint256 in range(14):
        if date >= to_date:
            break
        days: uint256 = calendar._month_days(date // 10000, date // 100 % 100)
        next: uint256 = self._next_month(date // 100) * 100 + 1
        last: uint256 = days + 1
        if to_date < next:
            last = to_date % 100
        parts += (last - date % 100) * (MONTH_PARTS // days)
        date = next
    assert date >= to_date, "pricing: span is too long"
    return parts


@internal
@pure
def _next_month(month: uint256) -> uint256:
    if month % 100 == 12:
        return month + 89
    return month + 1
