"""Bring a signed act from a file to the chain: look, try, and only then send.

The file is from anybody. It is for one chain, it must name a contract of this site's directory, and the contract is
asked first what it would say, so that a refusal costs nothing and is told in the contract's own words.
"""

from dataclasses import dataclass

from cloud.chain.client import CallReverted, ChainClient, SigningKey
from cloud.chain.deploy import wait_for_receipt
from cloud.chain.directory import abi_of, read_directory, selector_of
from cloud.chain.fees import first_fees
from cloud.errors import ChainError
from contracts.abi import Call
from contracts.act_file import Act, parse_act

__all__ = ["Submitted", "submit"]

_ANYBODY = "0x" + "00" * 19 + "01"
_PRIORITY_WEI = 10**9
_CAP_WEI = 500 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What became of an act. Without a key it was only tried."""

    act: Act
    transaction: str | None
    block_number: int | None
    gas_used: int | None


async def submit(client: ChainClient, encoded: bytes, *, registry: str, key: SigningKey | None) -> Submitted:
    """Check, try and send one act; without a key it ends after the trial.

    Raises:
        ActError: the file is no act.
        ChainError: another chain, a contract outside the directory, or the contract's refusal in its words.
    """
    act = parse_act(encoded, abi_of)
    await _check_place(client, act, registry)
    abi = abi_of(act.contract)
    call = act.call(abi, selector=selector_of(act.signature(abi)))
    await _try(client, act, call, sender=key.address if key is not None else _ANYBODY)
    if key is None:
        return Submitted(act=act, transaction=None, block_number=None, gas_used=None)
    return await _send(client, act, call, key)


async def _check_place(client: ChainClient, act: Act, registry: str) -> None:
    chain_id = await client.chain_id()
    if act.chain_id != chain_id:
        raise ChainError(f"the act is for chain {act.chain_id} and {client.name} is chain {chain_id}; nothing was sent")
    directory = await read_directory(client, registry)
    known = directory.contracts.get(act.contract)
    if act.address == known or await directory.is_member(client, act.address):
        return
    place = f"at {known}" if known else "nowhere"
    raise ChainError(
        f"the act is for {act.contract} at {act.address}, which the Registry's directory has {place}; nothing was "
        f"sent: it is for another site, or somebody wants your gas"
    )


async def _try(client: ChainClient, act: Act, call: Call, *, sender: str) -> None:
    try:
        await client.call(call.to, call.data, sender=sender)
    except CallReverted as refused:
        reason = str(refused) or "no reason given"
        raise ChainError(f"{act.contract} refuses this {act.function} now: {reason}; nothing was sent") from refused


async def _send(client: ChainClient, act: Act, call: Call, key: SigningKey) -> Submitted:
    fees = first_fees(await client.fees_asked(priority=_PRIORITY_WEI), cap=_CAP_WEI)
    gas = await client.estimate_gas(call.to, call.data, sender=key.address)
    raw, transaction = key.sign(
        {
            **fees.fields(),
            "chainId": act.chain_id,
            "nonce": await client.nonce(key.address),
            "to": call.to,
            "value": 0,
            "data": "0x" + call.data.hex(),
            "gas": gas + gas // 10,
        }
    )
    refusals = await client.broadcast(raw)
    receipt = await wait_for_receipt(client, transaction, what=act.function, refusals=refusals)
    if not receipt.succeeded:
        raise ChainError(
            f"{act.contract} refused this {act.function} in block {receipt.block_number}, though it would have taken "
            f"it a moment before: somebody else's transaction came first (transaction {transaction})"
        )
    return Submitted(act=act, transaction=transaction, block_number=receipt.block_number, gas_used=receipt.gas_used)
