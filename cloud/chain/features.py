"""What a chain can do, found out by asking it: a missing feature is said at the start instead of failing later.

An absent precompile answers as a bad signature does, so 0x100 is asked about a signature that is known to be good and
about the same one over another hash.
"""

from collections.abc import Awaitable
from dataclasses import dataclass

from cloud.chain.client import ChainClient
from cloud.errors import ChainError

__all__ = ["Features", "has_precompile", "probe"]

_PRECOMPILE = "0x" + "00" * 18 + "0100"
_ZERO = "0x" + "00" * 20
# Wycheproof ecdsa_secp256r1_sha256_p1363, case 1, as in p256.vy: hash, r, s, x, y.
_GOOD = bytes.fromhex(
    "bb5a52f42f9c9261ed4361f59422a1e30036e7c32b270c8807a419feca605023"
    "2ba3a8be6b94d5ec80a6d9d1190a436effe50d85a1eee859b8cc6af9bd5c2e18"
    "4cd60b855d442f5b3c7b11eb6c4e0ae7525fe710fab9aa7c77a67f79e6fadd76"
    "2927b10512bae3eddcfe467828128bad2903269919f7086069c8c4df6c732838"
    "c7787964eaac00e5921fb1498a60f4606766b3d9685001558d1a974e7341513e"
)
_PUSH0 = "0x5f5ff3"  # creation code: PUSH0 PUSH0 RETURN (EIP-3855, Shanghai)
_MCOPY = "0x5f5f5f5e5f5ff3"  # the same behind an MCOPY of nothing (EIP-5656, Cancun)


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """One yes or no each, and what follows from a no."""

    chain_id: int
    p256_precompile: bool
    finalized_tag: bool
    base_fee: bool
    fee_history: bool
    account_proofs: bool
    push0: bool
    mcopy: bool

    def lines(self) -> list[str]:
        """For people: the feature, whether it is there, and what to do where it is not."""
        told = (
            (
                "P-256 precompile at 0x100 (EIP-7951)",
                self.p256_precompile,
                "`minglou chain deploy` brings P256Verifier along",
            ),
            ("`finalized` blocks", self.finalized_tag, "set a depth at which a block counts as final"),
            ("base fee (EIP-1559)", self.base_fee, "transactions carry the nodes' gas price"),
            ("eth_feeHistory", self.fee_history, "fees start from the last block's base fee"),
            ("eth_getProof", self.account_proofs, "evidence carries no state proofs"),
            ("PUSH0 (Shanghai)", self.push0, "compile with --evm-version london"),
            ("MCOPY (Cancun)", self.mcopy, "compile with --evm-version shanghai or older"),
        )
        return [f"{'yes' if there else 'no ':3}  {what}" + ("" if there else f": {then}") for what, there, then in told]


async def probe(client: ChainClient) -> Features:
    """Ask for everything that the cloud or the contracts may use. Raises `ChainError` when nobody answers at all."""
    chain_id = await client.chain_id()
    latest = await client.latest()
    return Features(
        chain_id=chain_id,
        p256_precompile=await has_precompile(client),
        finalized_tag=await _works(client.request("eth_getBlockByNumber", "finalized", False)),
        base_fee=latest.base_fee_wei is not None,
        fee_history=await _works(client.request("eth_feeHistory", "0x1", "latest", [])),
        account_proofs=await _works(client.request("eth_getProof", _ZERO, [], "latest")),
        push0=await _runs(client, _PUSH0),
        mcopy=await _runs(client, _MCOPY),
    )


async def has_precompile(client: ChainClient) -> bool:
    """Whether 0x100 accepts a known-good signature and refuses it over another hash."""
    try:
        good = await client.call(_PRECOMPILE, _GOOD)
        bad = await client.call(_PRECOMPILE, bytes([_GOOD[0] ^ 1]) + _GOOD[1:])
    except ChainError:
        return False
    return good == (1).to_bytes(32) and bad == b""


async def _works(asked: Awaitable[object]) -> bool:
    try:
        return await asked is not None
    except ChainError:
        return False


async def _runs(client: ChainClient, creation: str) -> bool:
    return await _works(client.request("eth_call", {"data": creation, "gas": "0x186a0"}, "latest"))
