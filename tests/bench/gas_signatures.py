"""Gas of signatures inside a contract's call: the precompile, our verifier where there is none, and WebAuthn's text."""

from __future__ import annotations

from contracts.vyper.compile import artifact
from tests.bench.figure import Figure
from tests.contracts.vyper.chain import Chain
from tests.contracts.vyper.harness import Harness
from tests.contracts.vyper.p256_curve import case_of_sum, point_with_x
from tests.contracts.vyper.site import PRECOMPILE, coordinates, name
from tests.contracts.vyper.webauthn_vectors import ORIGIN, RP_ID_HASH, VECTORS

SIGNATURES = 16


def signature_figures(chain: Chain) -> dict[str, Figure]:
    """The same signatures each time, so that the figures differ only when the code does."""
    with_precompile = Harness(chain, PRECOMPILE, contract="Signatures")
    verifier = chain.deploy(chain.accounts[0], artifact("P256Verifier").bytecode)
    with_fallback = Harness(chain, verifier, contract="Signatures")
    spent = sorted(_verify(with_fallback, number) for number in range(SIGNATURES))
    precompile = max(_verify(with_precompile, number) for number in range(SIGNATURES))
    text, url = with_precompile.ask("base64url", name("challenge"))
    assert len(text) == 43
    passkey, slow = _passkey(with_precompile), _passkey(with_fallback)
    return {
        "gas.p256_fallback": Figure(
            value=sum(spent) // SIGNATURES,
            unit="gas",
            note=f"mean of {SIGNATURES} signatures, {spent[0]:,} to {spent[-1]:,}; by the precompile {precompile:,}",
        ),
        "gas.base64url": Figure(value=url, unit="gas", note="inside a contract, 43 characters"),
        "gas.passkey": Figure(
            value=passkey, unit="gas", note=f"checks, client data and signature; without the precompile {slow:,}"
        ),
    }


def _verify(harness: Harness, number: int) -> int:
    """Gas of one valid signature through module p256; the numbers are spread over the group."""
    spread = 0x9E3779B97F4A7C15F39CC0605CEDC8341082276BF3A27251F86C6A11D0C18E95
    case = case_of_sum(
        "spread",
        u1=spread * (2 * number + 1) % 2**256,
        u2=spread * (2 * number + 2) % 2**255,
        total=point_with_x(spread * (number + 7) % 2**255),
    )
    signed, gas = harness.ask("is_signed", case.message_hash.to_bytes(32), *case.numbers[1:])
    assert signed
    return int(gas)


def _passkey(harness: Harness) -> int:
    """Gas of one assertion: the W3C's with extra data behind the origin."""
    vector = next(vector for vector in VECTORS if vector.name == "packed.ES256")
    key = (name("unit"), 0, *coordinates(vector.key), 1, RP_ID_HASH, ORIGIN)
    signed, gas = harness.ask("is_signed_by", key, vector.challenge, vector.assertion().abi())
    assert signed
    return int(gas)
