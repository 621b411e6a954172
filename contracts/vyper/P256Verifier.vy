# pragma version 0.4.3
# pragma nonreentrancy on
# pragma experimental-codegen
"""
@title P256Verifier
@license Apache-2.0
@notice The P-256 precompile (EIP-7951) as a contract, for chains that have none at 0x100. It takes the same 160 bytes
        (hash, r, s, x, y) and answers the same: 32 bytes with the value one for a signature, nothing for anything else.

        Invariants
        - It never refuses a call: bad lengths, ranges and points get the empty answer. (It takes no money, which the
          precompile would; nobody has a reason to send any. And it needs its gas: with too little, nobody answers.)
        - It has no state and no owner, and calls nobody but the precompile for modular powers at 0x05 (EIP-198).
        - Like the precompile it accepts both s and n - s; whoever wants one of them asks for it (module p256).

        How it computes u1 G + u2 Q. The doublings are shared (Straus). u2 is cut into 64 signed digits of four bits, Q
        taken negative where u2 is above n/2, so that the table of digit multiples needs seven points beyond Q; one
        modular inversion makes them all affine. u1 is cut into 32 digits of eight bits, whose 255 multiples of G were
        computed when the contract was deployed and stand behind its code, where reading 32 bytes costs about as much as
        one multiplication. So there are 252 doublings and at most 96 additions, of an affine to a Jacobian point, and the last
        comparison of x-coordinates needs no inversion.

        Both tables hold points with both coordinates negated, which is what the addition needs. The order of factors
        and summands is the one for which the compiler moves least about on its stack; the doubling stands written out
        in the loop, for a call costs a sixth of it. The compiler's newer code generator, which keeps variables on the
        stack, is asked for by pragma: 186,000 gas against 296,000. That generator is called experimental; what it makes of
        this contract is tested with every published vector and against the affine formulas in Python.
"""

# NIST SP 800-186, section 3.2.1.3: the field, the order of the group, the curve's b, and the base point G.
P: constant(uint256) = max_value(uint256) - 2**224 + 2**192 + 2**96
ORDER: constant(uint256) = 115792089210356248762697446949407573529996955224135760342422259061068512044369
B: constant(uint256) = 41058363725152142129326129780047268409114441015993725554835256314039467401291
G_X: constant(uint256) = 48439561293906451759052585252797914202762949526041747995844080717082404635286
G_Y: constant(uint256) = 36134250956749795798585127919587881956611106672985015071877198253568414405109

HALF_ORDER: constant(uint256) = ORDER // 2
MINUS_2: constant(uint256) = P - 2
MINUS_3: constant(uint256) = P - 3
POWER: constant(address) = 0x0000000000000000000000000000000000000005

# Eight in each of the lower 63 digits: adding it turns signed digits into unsigned ones.
EIGHTS: constant(uint256) = (2**252 - 1) // 15 * 8

# (-x, -y) of k G at 2k and 2k + 1; nothing at 0 and 1.
MULTIPLES: immutable(uint256[512])


@deploy
def __init__():
    """
    @notice Compute the first 255 multiples of G by the affine formulas.
    """
    table: uint256[512] = empty(uint256[512])
    x: uint256 = G_X
    y: uint256 = G_Y
    for k: uint256 in range(1, 256):
        table[2 * k] = P - x
        table[2 * k + 1] = P - y
        slope: uint256 = 0
        if k == 1:
            # The tangent; a is -3, so 3 x^2 + a is 3 (x^2 - 1).
            rise: uint256 = uint256_mulmod(3, uint256_addmod(uint256_mulmod(x, x, P), P - 1, P), P)
            slope = uint256_mulmod(rise, self._inverse(uint256_addmod(y, y, P), P), P)
        else:
            slope = uint256_mulmod(uint256_addmod(y, P - G_Y, P), self._inverse(uint256_addmod(x, P - G_X, P), P), P)
        next_x: uint256 = uint256_addmod(uint256_mulmod(slope, slope, P), P - uint256_addmod(x, G_X, P), P)
        y = uint256_addmod(uint256_mulmod(slope, uint256_addmod(G_X, P - next_x, P), P), P - G_Y, P)
        x = next_x
    MULTIPLES = table


@external
@view
@reentrant
@raw_return
def __default__() -> Bytes[32]:
    """
    @notice What the precompile at 0x100 would answer to the same call data.
    @return abi_encode(1) if (r, s) signs the hash under the public key (x, y), else nothing.
    """
    if len(msg.data) != 160:
        return b""
    if self._is_signed(
        convert(slice(msg.data, 0, 32), uint256),
        convert(slice(msg.data, 32, 32), uint256),
        convert(slice(msg.data, 64, 32), uint256),
        convert(slice(msg.data, 96, 32), uint256),
        convert(slice(msg.data, 128, 32), uint256),
    ):
        return abi_encode(convert(1, uint256))
    return b""


@internal
@view
def _is_signed(hash: uint256, r: uint256, s: uint256, x: uint256, y: uint256) -> bool:
    """
    @notice FIPS 186-5 section 6.4.2, with the checks of EIP-7951: r and s in 1 .. n-1, (x, y) on the curve.
    """
    if r == 0 or r >= ORDER or s == 0 or s >= ORDER or x >= P or y >= P:
        return False
    cubic: uint256 = uint256_addmod(
        uint256_mulmod(x, uint256_addmod(uint256_mulmod(x, x, P), MINUS_3, P), P), B, P
    )
    if uint256_mulmod(y, y, P) != cubic:
        return False
    inverse: uint256 = self._inverse(s, ORDER)
    sum_x: uint256 = 0
    sum_z: uint256 = 0
    sum_x, sum_z = self._sum(uint256_mulmod(hash, inverse, ORDER), uint256_mulmod(r, inverse, ORDER), x, y)
    if sum_z == 0:
        return False
    # The affine x is sum_x / z^2; modulo n it is r if it is r itself or, where the field has such a number, r + n.
    square: uint256 = uint256_mulmod(sum_z, sum_z, P)
    if uint256_mulmod(r, square, P) == sum_x:
        return True
    return r < unsafe_sub(P, ORDER) and uint256_mulmod(unsafe_add(r, ORDER), square, P) == sum_x


@internal
@view
def _sum(u1: uint256, given_u2: uint256, x_of_q: uint256, given_y: uint256) -> (uint256, uint256):
    """
    @notice u1 G + u2 Q.
    @param given_u2 1 .. n-1.
    @return X and Z of the Jacobian sum; Z is zero for the point at infinity.
    """
    u2: uint256 = given_u2
    y_of_q: uint256 = given_y
    if u2 > HALF_ORDER:
        u2 = unsafe_sub(ORDER, u2)
        y_of_q = unsafe_sub(P, y_of_q)
    xs: uint256[17] = empty(uint256[17])
    ys: uint256[17] = empty(uint256[17])
    xs, ys = self._multiples(x_of_q, y_of_q)
    digits: uint256 = unsafe_add(u2, EIGHTS)
    # The first digit has no sign: u2 is below 2^255.
    digit: uint256 = unsafe_add(digits >> 252, 8)
    x: uint256 = 0
    y: uint256 = 1
    z: uint256 = 0
    if digit != 8:
        x = unsafe_sub(P, xs[digit])
        y = unsafe_sub(P, ys[digit])
        z = 1
    for i: uint256 in range(1, 64):
        place: uint256 = unsafe_sub(252, unsafe_mul(i, 4))
        for _: uint256 in range(4):
            # As in `_double`.
            zz: uint256 = uint256_mulmod(z, z, P)
            m: uint256 = uint256_mulmod(
                MINUS_3, uint256_mulmod(uint256_addmod(x, zz, P), uint256_addmod(x, unsafe_sub(P, zz), P), P), P
            )
            u: uint256 = uint256_addmod(y, y, P)
            z = uint256_mulmod(z, u, P)
            a: uint256 = uint256_mulmod(u, y, P)
            b: uint256 = uint256_mulmod(MINUS_2, a, P)
            s: uint256 = uint256_mulmod(b, x, P)
            x = uint256_addmod(uint256_mulmod(m, m, P), uint256_addmod(s, s, P), P)
            y = uint256_addmod(uint256_mulmod(b, a, P), uint256_mulmod(uint256_addmod(x, s, P), m, P), P)
        digit = (digits >> place) & 15
        if digit != 8:
            x, y, z = self._add(x, y, z, xs[digit], ys[digit])
        if i & 1 == 1:
            digit = (u1 >> place) & 255
            if digit != 0:
                digit = unsafe_mul(digit, 2)
                x, y, z = self._add(x, y, z, MULTIPLES[digit], MULTIPLES[unsafe_add(digit, 1)])
    return x, z


@internal
@view
def _multiples(x_of_q: uint256, y_of_q: uint256) -> (uint256[17], uint256[17]):
    """
    @notice (-x, -y) of d Q at d + 8, for d in -8 .. 8; nothing at 8.
    """
    xs: uint256[17] = empty(uint256[17])
    ys: uint256[17] = empty(uint256[17])
    xs[7] = unsafe_sub(P, x_of_q)
    xs[9] = unsafe_sub(P, x_of_q)
    ys[7] = y_of_q
    ys[9] = unsafe_sub(P, y_of_q)
    # 2 Q .. 8 Q in Jacobian coordinates, and the products of their Z from 2 Q up. None of the sums is a doubling or
    # the point at infinity, for Q has a large prime order.
    zs: uint256[9] = empty(uint256[9])
    products: uint256[9] = empty(uint256[9])
    x: uint256 = 0
    y: uint256 = 0
    z: uint256 = 0
    x, y, z = self._double(x_of_q, y_of_q, 1)
    products[1] = 1
    for d: uint256 in range(2, 9):
        xs[unsafe_add(8, d)] = x
        ys[unsafe_add(8, d)] = y
        zs[d] = z
        products[d] = uint256_mulmod(products[unsafe_sub(d, 1)], z, P)
        if d != 8:
            x, y, z = self._add(x, y, z, xs[9], ys[9])
    # Their inverses from the inverse of the last product (Montgomery's trick), from 8 Q down.
    rest: uint256 = self._inverse(products[8], P)
    for i: uint256 in range(7):
        d: uint256 = unsafe_sub(8, i)
        above: uint256 = unsafe_add(8, d)
        inverse: uint256 = uint256_mulmod(rest, products[unsafe_sub(d, 1)], P)
        rest = uint256_mulmod(rest, zs[d], P)
        square: uint256 = uint256_mulmod(inverse, inverse, P)
        x = unsafe_sub(P, uint256_mulmod(xs[above], square, P))
        y = uint256_mulmod(ys[above], uint256_mulmod(square, inverse, P), P)
        xs[above] = x
        xs[i] = x
        ys[above] = unsafe_sub(P, y)
        ys[i] = y
    return xs, ys


@internal
@pure
def _double(x: uint256, y: uint256, z: uint256) -> (uint256, uint256, uint256):
    """
    @notice Twice a Jacobian point; a = -3. With S = 4 X Y^2 and M = 3 (X - Z^2)(X + Z^2):
            X' = M^2 - 2 S, Y' = M (S - X') - 8 Y^4, Z' = 2 Y Z. Below m is -M, s is -S and b is -4 Y^2, which saves
            the subtractions.
    """
    zz: uint256 = uint256_mulmod(z, z, P)
    m: uint256 = uint256_mulmod(
        MINUS_3, uint256_mulmod(uint256_addmod(x, zz, P), uint256_addmod(x, unsafe_sub(P, zz), P), P), P
    )
    u: uint256 = uint256_addmod(y, y, P)
    a: uint256 = uint256_mulmod(u, y, P)
    b: uint256 = uint256_mulmod(MINUS_2, a, P)
    s: uint256 = uint256_mulmod(b, x, P)
    sum_x: uint256 = uint256_addmod(uint256_mulmod(m, m, P), uint256_addmod(s, s, P), P)
    sum_y: uint256 = uint256_addmod(uint256_mulmod(b, a, P), uint256_mulmod(uint256_addmod(sum_x, s, P), m, P), P)
    return sum_x, sum_y, uint256_mulmod(z, u, P)


@internal
@pure
def _add(
    x: uint256, y: uint256, z: uint256, minus_x2: uint256, minus_y2: uint256
) -> (uint256, uint256, uint256):
    """
    @notice A Jacobian point and an affine one, which is given negated in both coordinates. With H = X2 Z^2 - X and
            R = Y2 Z^3 - Y: X' = R^2 - H^3 - 2 X H^2, Y' = R (X H^2 - X') - Y H^3, Z' = Z H. Below h is -H and r is -R.
    """
    if z == 0:
        return unsafe_sub(P, minus_x2), unsafe_sub(P, minus_y2), 1
    zz: uint256 = uint256_mulmod(z, z, P)
    h: uint256 = uint256_addmod(x, uint256_mulmod(minus_x2, zz, P), P)
    r: uint256 = uint256_addmod(y, uint256_mulmod(uint256_mulmod(z, zz, P), minus_y2, P), P)
    if h == 0:
        if r == 0:
            return self._double(x, y, z)
        return 0, 1, 0
    hh: uint256 = uint256_mulmod(h, h, P)
    hhh: uint256 = uint256_mulmod(h, hh, P)
    v: uint256 = uint256_mulmod(x, hh, P)
    sum_x: uint256 = uint256_addmod(
        uint256_mulmod(MINUS_2, v, P), uint256_addmod(uint256_mulmod(r, r, P), hhh, P), P
    )
    sum_y: uint256 = uint256_addmod(
        uint256_mulmod(uint256_addmod(sum_x, unsafe_sub(P, v), P), r, P), uint256_mulmod(hhh, y, P), P
    )
    return sum_x, sum_y, uint256_mulmod(z, unsafe_sub(P, h), P)


@internal
@view
def _inverse(number: uint256, prime: uint256) -> uint256:
    """
    @notice 1 / number modulo the prime, as number^(prime - 2).
    """
    return convert(
        raw_call(
            POWER,
            abi_encode(
                convert(32, uint256), convert(32, uint256), convert(32, uint256), number, unsafe_sub(prime, 2), prime
            ),
            max_outsize=32,
            is_static_call=True,
        ),
        uint256,
    )
