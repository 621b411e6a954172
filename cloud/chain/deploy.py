"""Deploy a site's contracts, in the order of `deployment.CONTRACTS`, and write down where they are.

The deployer's key has no power once this is done. Each constructor probes the P-256 verifier and refuses to exist
without it.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eth_utils.crypto import keccak

from cloud.chain.client import ChainClient, Receipt, SigningKey
from cloud.chain.deployment import CONTRACTS, Deployment
from cloud.chain.features import has_precompile
from cloud.chain.fees import first_fees
from cloud.chain.terms import (
    ASSEMBLY_TERMS,
    FUND_TERMS,
    WORK_TERMS,
    AssemblyTerms,
    assembly_terms,
    fund_terms,
    work_terms,
)
from cloud.errors import ChainError, SettingsError
from contracts.calls import anchor_log as anchor_log_calls
from contracts.calls import assembly as assembly_calls
from contracts.calls import ballots as ballots_calls
from contracts.calls import bindings as bindings_calls
from contracts.calls import challenges as challenges_calls
from contracts.calls import charges as charges_calls
from contracts.calls import counterevidence as counterevidence_calls
from contracts.calls import crews as crews_calls
from contracts.calls import labels as labels_calls
from contracts.calls import registry as registry_calls
from contracts.calls import reserve_fund as reserve_fund_calls
from contracts.calls import resolutions as resolutions_calls
from contracts.calls import roll as roll_calls
from contracts.calls import service_agreements as service_agreements_calls
from contracts.calls import tariffs as tariffs_calls
from contracts.calls import token as token_calls
from contracts.calls import usage_fees as usage_fees_calls
from contracts.calls import work_orders as work_orders_calls
from contracts.fund import Terms as FundTerms
from contracts.superlog import WitnessPolicy, superlog_id
from contracts.trust import Trust, format_trust
from contracts.vyper.compile import artifact
from contracts.work_order import LIFT_FAULTS
from contracts.work_order import Terms as WorkTerms

__all__ = ["WHICHEVER_WORKS", "DeployOptions", "created_address", "deploy", "read_options", "trust_of", "write_trust"]

P256_PRECOMPILE = "0x0000000000000000000000000000000000000100"
WHICHEVER_WORKS = "whichever works"
_RECEIPT_SECONDS = 120.0
_PRIORITY_WEI = 10**9
_CAP_WEI = 500 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployOptions:
    """Constructor arguments of one site. Delays and windows in seconds, bond and deposit in fen."""

    site: bytes
    token_name: str
    token_symbol: str
    minter: str
    manager: str
    committee: str
    relayer: str
    witness_delay: int
    recovery_delay: int
    tariff_delay: int
    challenge_window: int
    answer_window: int
    bond_floor: int
    deposit: int
    utc_offset_seconds: int
    super_log_origin: str
    super_log_public: bytes
    assembly: AssemblyTerms = ASSEMBLY_TERMS
    fund: FundTerms = FUND_TERMS
    repairs: WorkTerms = WORK_TERMS
    verifier: str = P256_PRECOMPILE  # its address, or WHICHEVER_WORKS: our own is deployed where there is no precompile


def read_options(path: Path, *, super_log_origin: str | None, super_log_public: bytes | None) -> DeployOptions:
    """The options in a JSON file; the super-log's name and key may be given beside it.

    Raises:
        SettingsError: a key is missing or malformed.
    """
    try:
        document: Mapping[str, Any] = json.loads(path.read_text())
        token = document["token"]
        numbers = (
            "witness_delay",
            "recovery_delay",
            "tariff_delay",
            "challenge_window",
            "answer_window",
            "bond_floor",
            "deposit",
            "utc_offset_seconds",
        )
        return DeployOptions(
            site=bytes.fromhex(document["site"]),
            token_name=str(token["name"]),
            token_symbol=str(token["symbol"]),
            minter=str(token["minter"]),
            manager=str(document["manager"]),
            committee=str(document["committee"]),
            relayer=str(document["relayer"]),
            super_log_origin=super_log_origin or str(document["super_log_origin"]),
            super_log_public=super_log_public or bytes.fromhex(document["super_log_key"]),
            verifier=str(document.get("verifier", WHICHEVER_WORKS)),
            assembly=assembly_terms(document.get("assembly", {})),
            fund=fund_terms(document.get("fund", {}), utc_offset_seconds=int(document["utc_offset_seconds"])),
            repairs=work_terms(document.get("repairs", {})),
            **{name: int(document[name]) for name in numbers},
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise SettingsError(f"deploy options {path}: {error!r}; see `minglou chain deploy --help`") from error


async def deploy(client: ChainClient, key: SigningKey, options: DeployOptions) -> Deployment:
    """Deploy all contracts and wait until they are in blocks.

    The Registry comes first and is given the addresses that the others will have, from the deployer's next nonces: so
    every contract finds the others in its directory, and nobody has to be trusted to write it afterwards.

    Raises:
        ChainError: the chain refused one, with the contract's reason, or the key was used by somebody else meanwhile.
    """
    chain_id = await client.chain_id()
    options = await _with_verifier(client, key, chain_id, options)
    nonce = await client.nonce(key.address)
    at = {name: created_address(key.address, nonce + number) for number, name in enumerate(CONTRACTS)}
    from_block = 0
    for name, contract in CONTRACTS.items():
        receipt = await _create(
            client, key, chain_id, contract, _CREATIONS[name](artifact(contract).bytecode, options, at)
        )
        from_block = from_block or receipt.block_number
        if _address(receipt) != at[name]:
            raise ChainError(
                f"{contract} is at {_address(receipt)}, the Registry's directory has {at[name]}: the deployer's key "
                "was used for something else meanwhile; deploy again with a key of its own"
            )
    return Deployment(chain_id=chain_id, from_block=from_block, site=options.site, **at)


async def _with_verifier(client: ChainClient, key: SigningKey, chain_id: int, options: DeployOptions) -> DeployOptions:
    """The options with the address of a verifier that works on this chain."""
    if options.verifier != WHICHEVER_WORKS:
        return options
    if await has_precompile(client):
        return replace(options, verifier=P256_PRECOMPILE)
    receipt = await _create(client, key, chain_id, "P256Verifier", artifact("P256Verifier").bytecode)
    return replace(options, verifier=_address(receipt))


def created_address(sender: str, nonce: int) -> str:
    """The address of the contract that this transaction creates: Keccak-256 over the RLP list of sender and nonce."""
    counted = nonce.to_bytes((nonce.bit_length() + 7) // 8)
    counted = counted if 0 < nonce < 128 else bytes([128 + len(counted)]) + counted
    payload = b"\x94" + bytes.fromhex(sender[2:]) + counted
    return "0x" + keccak(bytes([192 + len(payload)]) + payload)[12:].hex()


_Creation = Callable[[bytes, DeployOptions, Mapping[str, str]], bytes]
"""Creation data from the bytecode, the options and the addresses of the site's contracts by name."""


def _registry(code: bytes, options: DeployOptions, at: Mapping[str, str]) -> bytes:
    return registry_calls.deploy(
        code,
        site=options.site,
        manager=options.manager,
        committee=options.committee,
        witness_delay=options.witness_delay,
        recovery_delay=options.recovery_delay,
        verifier=options.verifier,
        contracts={name: address for name, address in at.items() if name != "registry"},
    )


def _roll(code: bytes, options: DeployOptions, at: Mapping[str, str]) -> bytes:
    return roll_calls.deploy(code, registry=at["registry"], verifier=options.verifier)


def _crews(code: bytes, options: DeployOptions, at: Mapping[str, str]) -> bytes:
    return crews_calls.deploy(code, registry=at["registry"], verifier=options.verifier)


def _labels(code: bytes, _options: DeployOptions, at: Mapping[str, str]) -> bytes:
    return labels_calls.deploy(code, registry=at["registry"])


def _bindings(code: bytes, options: DeployOptions, at: Mapping[str, str]) -> bytes:
    return bindings_calls.deploy(code, registry=at["registry"], verifier=options.verifier)


def _token(code: bytes, options: DeployOptions, _at: Mapping[str, str]) -> bytes:
    return token_calls.deploy(code, name=options.token_name, symbol=options.token_symbol, minter=options.minter)


def _anchor_log(code: bytes, options: DeployOptions, at: Mapping[str, str]) -> bytes:
    return anchor_log_calls.deploy(
        code,
        registry=at["registry"],
        relayer=options.relayer,
        super_log=superlog_id(options.super_log_origin, options.super_log_public),
        verifier=options.verifier,
    )


def _tariffs(code: bytes, options: DeployOptions, at: Mapping[str, str]) -> bytes:
    return tariffs_calls.deploy(
        code,
        registry=at["registry"],
        utc_offset_seconds=options.utc_offset_seconds,
        tariff_delay=options.tariff_delay,
    )


def _charges(code: bytes, _options: DeployOptions, at: Mapping[str, str]) -> bytes:
    return charges_calls.deploy(code, registry=at["registry"])


def _challenges(code: bytes, options: DeployOptions, at: Mapping[str, str]) -> bytes:
    return challenges_calls.deploy(code, registry=at["registry"], verifier=options.verifier)


def _usage_fees(code: bytes, options: DeployOptions, at: Mapping[str, str]) -> bytes:
    return usage_fees_calls.deploy(
        code,
        registry=at["registry"],
        challenge_window=options.challenge_window,
        answer_window=options.answer_window,
        bond_floor=options.bond_floor,
        deposit=options.deposit,
        verifier=options.verifier,
    )


def _resolutions(code: bytes, options: DeployOptions, at: Mapping[str, str]) -> bytes:
    return resolutions_calls.deploy(
        code,
        registry=at["registry"],
        notice_seconds=options.assembly.notice_seconds,
        voting_seconds=options.assembly.voting_seconds,
        window_seconds=options.assembly.window_seconds,
        verifier=options.verifier,
    )


def _ballots(code: bytes, options: DeployOptions, at: Mapping[str, str]) -> bytes:
    return ballots_calls.deploy(
        code, registry=at["registry"], proxies_max=options.assembly.proxies_max, verifier=options.verifier
    )


def _assembly(code: bytes, _options: DeployOptions, at: Mapping[str, str]) -> bytes:
    return assembly_calls.deploy(code, registry=at["registry"])


def _reserve_fund(code: bytes, options: DeployOptions, at: Mapping[str, str]) -> bytes:
    return reserve_fund_calls.deploy(code, registry=at["registry"], terms=options.fund)


def _work_orders(code: bytes, options: DeployOptions, at: Mapping[str, str]) -> bytes:
    return work_orders_calls.deploy(
        code, registry=at["registry"], terms=options.repairs, faults=LIFT_FAULTS, verifier=options.verifier
    )


def _counterevidence(code: bytes, options: DeployOptions, at: Mapping[str, str]) -> bytes:
    return counterevidence_calls.deploy(
        code, registry=at["registry"], utc_offset_seconds=options.utc_offset_seconds, verifier=options.verifier
    )


def _service_agreements(code: bytes, options: DeployOptions, at: Mapping[str, str]) -> bytes:
    return service_agreements_calls.deploy(
        code, registry=at["registry"], utc_offset_seconds=options.utc_offset_seconds, verifier=options.verifier
    )


_CREATIONS: Mapping[str, _Creation] = {
    "registry": _registry,
    "roll": _roll,
    "crews": _crews,
    "labels": _labels,
    "bindings": _bindings,
    "token": _token,
    "anchor_log": _anchor_log,
    "tariffs": _tariffs,
    "charges": _charges,
    "usage_fees": _usage_fees,
    "challenges": _challenges,
    "resolutions": _resolutions,
    "ballots": _ballots,
    "assembly": _assembly,
    "reserve_fund": _reserve_fund,
    "work_orders": _work_orders,
    "counterevidence": _counterevidence,
    "service_agreements": _service_agreements,
}


async def _create(client: ChainClient, key: SigningKey, chain_id: int, contract: str, data: bytes) -> Receipt:
    fees = first_fees(await client.fees_asked(priority=_PRIORITY_WEI), cap=_CAP_WEI)
    gas = await client.estimate_gas(None, data, sender=key.address)
    raw, transaction_hash = key.sign(
        {
            **fees.fields(),
            "chainId": chain_id,
            "nonce": await client.nonce(key.address),
            "value": 0,
            "data": "0x" + data.hex(),
            "gas": gas + gas // 10,
        }
    )
    refusals = await client.broadcast(raw)
    receipt = await wait_for_receipt(client, transaction_hash, what=f"deploying {contract}", refusals=refusals)
    if not receipt.succeeded:
        raise ChainError(
            f"{contract} was not created: its constructor reverted; check the options, and that the chain has "
            f"P-256 at 0x100"
        )
    return receipt


async def wait_for_receipt(client: ChainClient, transaction_hash: str, *, what: str, refusals: list[str]) -> Receipt:
    """The receipt, once the transaction is in a block. Raises `ChainError` after two minutes."""
    deadline = time.monotonic() + _RECEIPT_SECONDS
    while time.monotonic() < deadline:
        receipt = await client.receipt(transaction_hash)
        if receipt is not None:
            return receipt
        await asyncio.sleep(0.1)
    raise ChainError(
        f"{what}: transaction {transaction_hash} is in no block after {_RECEIPT_SECONDS:g} s; "
        f"{refusals or 'is the chain mining?'}"
    )


def _address(receipt: Receipt) -> str:
    assert receipt.contract is not None, "a creation's receipt names its contract"
    return receipt.contract.lower()


def trust_of(
    deployment: Deployment, *, super_log_origin: str, super_log_public: bytes, policy: WitnessPolicy | None = None
) -> Trust:
    """The trust roots of a fresh deployment; without a policy they name no witnesses."""
    return Trust(
        chain_id=deployment.chain_id,
        registry=bytes.fromhex(deployment.registry[2:]),
        anchor_log=bytes.fromhex(deployment.anchor_log[2:]),
        usage_fees=bytes.fromhex(deployment.usage_fees[2:]),
        super_log_origin=super_log_origin,
        super_log_public=super_log_public,
        witness_policy=policy or WitnessPolicy(),
    )


def write_trust(path: Path, trust: Trust) -> None:
    """Write trust.json in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(path.suffix + ".part")
    part.write_bytes(format_trust(trust))
    part.replace(path)
