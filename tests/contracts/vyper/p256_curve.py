"""P-256 straight from the standard, slow and affine, and signatures at its corners that no key holder would make.

The corners are built backwards: choose the multiples u1 and u2 and the wanted sum, and compute the key that has them.
"""

from dataclasses import dataclass

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)

Point = tuple[int, int] | None  # None is the point at infinity


def plus(a: Point, b: Point) -> Point:
    """The sum of two points (NIST SP 800-186, appendix A.1.1)."""
    if a is None or b is None:
        return b if a is None else a
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    rise, run = (3 * a[0] ** 2 - 3, 2 * a[1]) if a == b else (b[1] - a[1], b[0] - a[0])
    slope = rise * pow(run, -1, P) % P
    x = (slope**2 - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def times(factor: int, point: Point) -> Point:
    """A multiple of a point, bit by bit."""
    found: Point = None
    for bit in bin(factor % ORDER)[2:]:
        found = plus(found, found)
        if bit == "1":
            found = plus(found, point)
    return found


def is_signed(message_hash: int, r: int, s: int, x: int, y: int) -> bool:
    """FIPS 186-5, section 6.4.2, with the checks of EIP-7951."""
    if not (0 < r < ORDER and 0 < s < ORDER and x < P and y < P and (y * y - x**3 + 3 * x - B) % P == 0):
        return False
    inverse = pow(s, -1, ORDER)
    total = plus(times(message_hash * inverse, G), times(r * inverse, (x, y)))
    return total is not None and total[0] % ORDER == r


@dataclass(frozen=True, slots=True)
class Case:
    """A call of the verifier: five numbers of 32 bytes."""

    name: str
    message_hash: int
    r: int
    s: int
    x: int
    y: int

    @property
    def numbers(self) -> tuple[int, int, int, int, int]:
        return self.message_hash, self.r, self.s, self.x, self.y

    def encode(self) -> bytes:
        return b"".join(number.to_bytes(32) for number in self.numbers)


def case_of_sum(name: str, *, u1: int, u2: int, total: tuple[int, int]) -> Case:
    """The signature whose verification adds u1 G and u2 Q up to this point."""
    r = total[0] % ORDER
    s = r * pow(u2, -1, ORDER) % ORDER
    opposite = times(u1, G)
    opposite = None if opposite is None else (opposite[0], P - opposite[1])
    key = times(pow(u2, -1, ORDER), plus(total, opposite))
    assert key is not None
    return Case(name, u1 * s % ORDER, r, s, *key)


def point_with_x(at_least: int) -> tuple[int, int]:
    """The first point at or beyond this x."""
    for x in range(at_least, P):
        square = (x**3 - 3 * x + B) % P
        y = pow(square, (P + 1) // 4, P)
        if y * y % P == square:
            return x, y
    raise AssertionError("no such point")


def corners() -> list[Case]:
    """Signatures at which a fast algorithm can go wrong; some are to be refused."""
    u1 = 0x1234567890ABCDEF << 128 | 0xFEDCBA
    known = times(u1, G)
    assert known is not None
    cases = [
        case_of_sum("both halves of the sum are equal", u1=u1, u2=7, total=_point(2 * u1)),
        case_of_sum("x of the sum is above the order", u1=u1, u2=5, total=point_with_x(ORDER)),
        case_of_sum("the hash is a multiple of the order", u1=0, u2=3, total=known),
        case_of_sum("u2 is one", u1=u1, u2=1, total=_point(99)),
        case_of_sum("u2 is minus one", u1=u1, u2=ORDER - 1, total=_point(99)),
        case_of_sum("u2 is half the order", u1=u1, u2=ORDER // 2, total=_point(99)),
        case_of_sum("u2 is just above half the order", u1=u1, u2=ORDER // 2 + 1, total=_point(99)),
        case_of_sum("u2 is all nines, whose digits carry", u1=u1, u2=int("9" * 63, 16), total=_point(99)),
        case_of_sum("u2 is all eights", u1=u1, u2=int("8" * 63, 16), total=_point(99)),
        case_of_sum("u2 has one digit", u1=u1, u2=16, total=_point(99)),
        case_of_sum("u1 has one bit", u1=1 << 255, u2=2, total=_point(99)),
        case_of_sum("u1 is all ones in its low half", u1=2**128 - 1, u2=2**128 - 1, total=_point(99)),
    ]
    equal, large = cases[0], cases[1]
    minus = case_of_sum("the sum is the point at infinity", u1=u1, u2=7, total=_point(2 * u1))
    base = (G[0], P - G[1])
    return [
        *cases,
        # u1 G + u2 Q with Q = -(u1 / u2) G.
        Case(minus.name, minus.message_hash, minus.r, minus.s, minus.x, P - minus.y),
        Case("the key is G", *_signed_by_one(u1), *G),
        Case("the key is minus G", *_signed_by_one(u1), *base),
        Case("the hash is larger than the order", equal.message_hash + ORDER, *equal.numbers[1:])
        if equal.message_hash + ORDER < 2**256
        else Case("the hash is all ones", 2**256 - 1, *equal.numbers[1:]),
        Case("r is x instead of x modulo the order", large.message_hash, large.r + ORDER, *large.numbers[2:]),
        Case("r is zero", equal.message_hash, 0, *equal.numbers[2:]),
        Case("s is zero", equal.message_hash, equal.r, 0, *equal.numbers[3:]),
        Case("r is the order", equal.message_hash, ORDER, *equal.numbers[2:]),
        Case("s is the order", equal.message_hash, equal.r, ORDER, *equal.numbers[3:]),
        Case("s is s + the order", equal.message_hash, equal.r, min(equal.s + ORDER, 2**256 - 1), *equal.numbers[3:]),
        Case("the other s", equal.message_hash, equal.r, ORDER - equal.s, *equal.numbers[3:]),
        Case("the key is not on the curve", *equal.numbers[:4], equal.y ^ 1),
        Case("the key is the point at infinity", *equal.numbers[:3], 0, 0),
        Case("x of the key is not reduced", *_with_small_x(), 0),
        Case("all zero", 0, 0, 0, 0, 0),
        Case("all ones", *[2**256 - 1] * 5),
    ]


def _point(factor: int) -> tuple[int, int]:
    found = times(factor, G)
    assert found is not None
    return found


def _signed_by_one(nonce: int) -> tuple[int, int, int]:
    """Hash, r and s of a signature by the private key 1."""
    r = _point(nonce)[0] % ORDER
    return 77, r, pow(nonce, -1, ORDER) * (77 + r) % ORDER


def _with_small_x() -> tuple[int, int, int, int]:
    """A key with a small x, given as x + P."""
    small = point_with_x(1)
    return 77, 5, 9, small[0] + P
