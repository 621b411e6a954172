"""`minglou billing`: draft a period's bills from the cloud's entries; post them with the operator's own key."""

import argparse
import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from cloud.errors import BillingError, CloudError
from cloud.settings import OperatorSettings, load_operator_settings, load_settings, read_secret

__all__ = ["add_arguments", "run"]

_UPLOAD_SECONDS = 60.0
_FEE_CAP_PARTS = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-commands of `minglou billing`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    draft = actions.add_parser("draft", help="compute a period's bills from boundary entries and the tariffs on chain")
    draft.add_argument("--config", type=Path, required=True, metavar="FILE", help="the cloud's settings")
    draft.add_argument(
        "--period", required=True, metavar="OPENING..CLOSING", help="boundary dates, such as 20261023..20261122"
    )
    draft.add_argument("--out", type=Path, required=True, metavar="FILE", help="draft.json to write")
    post = actions.add_parser("post", help="close the period on chain with the operator's key and upload the bills")
    post.add_argument("--config", type=Path, required=True, metavar="FILE", help="the operator's settings")
    post.add_argument("draft", type=Path, metavar="DRAFT", help="draft.json, as corrected")


def run(arguments: argparse.Namespace) -> int:
    """Run one sub-command; 0 done, 1 refused."""
    try:
        if arguments.action == "draft":
            return asyncio.run(_draft(arguments))
        return asyncio.run(
            _post(load_operator_settings(arguments.config), arguments.draft, _read_draft(arguments.draft))
        )
    except CloudError as error:
        print(f"minglou billing: {error}", file=sys.stderr)
        return 1


def _read_draft(file: Path) -> str:
    try:
        return file.read_text()
    except OSError as error:
        raise BillingError(f"draft {file} cannot be read: {error}; make one with `minglou billing draft`") from error


async def _draft(arguments: argparse.Namespace) -> int:
    from cloud.billing.draft import draft_period, draft_to_json, parse_period
    from cloud.chain.deployment import read_deployment
    from cloud.chain.stored import stored_view
    from cloud.directory import DirectoryFile
    from cloud.store import Store

    settings = load_settings(arguments.config)
    if settings.chain is None:
        raise BillingError(f"{arguments.config} names no [chain]; bills need tariffs and bindings")
    period = parse_period(arguments.period)
    store = Store(settings.store_url)
    try:
        view = await stored_view(store, settings.chain.chain_id)
        async with store.read() as connection:
            draft = await draft_period(
                connection,
                view=view,
                directory=DirectoryFile(settings.directory_file).read(),
                deployment=read_deployment(settings.chain.deployment_file),
                period=period,
            )
    finally:
        await store.close()
    # Names, readings and salts of households: readable by the operator only.
    with os.fdopen(os.open(arguments.out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(draft_to_json(draft), file, indent=1, ensure_ascii=False)
    lines = sum(len(unit.lines) for unit in draft.units)
    total = sum(one.line.amount for unit in draft.units for one in unit.lines)
    print(f"drafted {len(draft.units)} bills with {lines} lines, {total} fen in all: {arguments.out}")
    for problem in draft.problems:
        print(f"  look at: {problem}")
    return 0


async def _post(settings: OperatorSettings, file: Path, text: str) -> int:
    from cloud.billing.draft import bills_of, draft_from_json, terms_named
    from cloud.chain.client import ChainClient, SigningKey
    from contracts.bill import BillProof, BillTree
    from contracts.bill_file import bill_to_json
    from contracts.errors import ContractsError

    try:
        draft = draft_from_json(json.loads(text))
        bills = bills_of(draft)
        tree = BillTree.of_bills(bills)
    except (ValueError, ContractsError) as error:
        raise BillingError(f"draft {file}: {error}") from error
    proofs = [
        bill_to_json(
            BillProof(
                bill=bill,
                path=tree.path(bill.unit_index),
                unit_count=tree.unit_count,
                root=tree.root,
                terms=terms_named(bill.lines, draft.terms),
            )
        )
        for bill in bills
    ]
    client = ChainClient(settings.chain.rpc, quorum=settings.chain.quorum)
    try:
        key = SigningKey(read_secret(settings.operator_key_file))
        await _close_period(
            settings, client, key, draft.contract, draft.period, tree.root.hash, tree.root.sums, len(bills)
        )
    finally:
        await client.close()
    answer = await _upload(settings.cloud_url, draft.period, proofs)
    print(f"posted {answer['accepted']} bills of {draft.period}, root {tree.root.hash.hex()}")
    for mismatch in answer["mismatches"]:
        print(f"  the cloud computes otherwise: {mismatch}")
    return 0


async def _close_period(
    settings: OperatorSettings,
    client: Any,
    key: Any,
    contract: str,
    period: int,
    root: bytes,
    sums: int,
    unit_count: int,
) -> None:
    """Send `close_period` from the operator's own account, unless this very root stands on chain already."""
    from cloud.chain.deploy import wait_for_receipt
    from cloud.chain.fees import first_fees
    from contracts.calls import usage_fees

    held = usage_fees.parse_period(await client.call(contract, usage_fees.period(contract, period=period).data))
    if held.closed_at:
        if held.root != root:
            raise BillingError(
                f"period {period} is closed with another root, {held.root.hex()}; it cannot be posted twice"
            )
        return
    data = usage_fees.close_period(contract, period=period, root=root, sums=sums, unit_count=unit_count).data
    gas = await client.estimate_gas(contract, data, sender=key.address)
    chain = settings.chain
    asked = await client.fees_asked(priority=chain.priority_fee_wei, legacy=chain.legacy_transactions)
    fees = first_fees(asked, cap=chain.fee_cap_wei)
    raw, transaction_hash = key.sign(
        {
            **fees.fields(),
            "chainId": settings.chain.chain_id,
            "nonce": await client.nonce(key.address),
            "to": contract,
            "value": 0,
            "data": "0x" + data.hex(),
            "gas": gas + gas // _FEE_CAP_PARTS,
        }
    )
    refusals = await client.broadcast(raw)
    receipt = await wait_for_receipt(client, transaction_hash, what=f"closing period {period}", refusals=refusals)
    if not receipt.succeeded:
        raise BillingError(f"closing period {period} was reverted in {transaction_hash}; is the bond above its floor?")
    print(
        f"closed period {period} in block {receipt.block_number}, transaction {transaction_hash}, "
        f"{receipt.gas_used} gas"
    )


async def _upload(url: str, period: int, proofs: list[Any]) -> Any:
    """Hand the bills to the cloud, waiting until it has followed the chain to the closing."""
    import httpx

    deadline = time.monotonic() + _UPLOAD_SECONDS
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
        while True:
            try:
                answer = await http.post(f"{url.rstrip('/')}/v1/bills/{period}", json={"bills": proofs})
            except httpx.TransportError as error:
                says = f"{type(error).__name__}: {error}"
            else:
                if answer.status_code == 200:
                    return answer.json()
                says = answer.text[:500]
                if answer.status_code not in (409, 503):
                    raise BillingError(f"the cloud refused the bills: {says}")
            if time.monotonic() > deadline:
                raise BillingError(
                    f"the cloud did not take the bills within {_UPLOAD_SECONDS:g} s: {says}; run the same command again"
                )
            await asyncio.sleep(0.3)
