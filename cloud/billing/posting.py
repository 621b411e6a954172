"""A period's bills on their way out: the root to the contract with the operator's own key, the bills to the cloud."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from hashlib import sha256
from typing import Any, Self, TypeVar

import httpx

from cloud.billing.bill_block import (
    BILLS_AT_ONCE,
    MEDIA_TYPE,
    SALT_BYTES,
    SALTS_HEADER,
    BillBlock,
    BillPlace,
    encode_block,
    salts_digest,
)
from cloud.billing.bill_block import BLOCK_LEVEL as UPLOAD_LEVEL
from cloud.billing.volumes import VOLUMES_MEDIA_TYPE, encode_volumes
from cloud.chain.client import ChainClient, Receipt, SigningKey
from cloud.chain.deploy import wait_for_receipt
from cloud.chain.deployment import read_deployment
from cloud.chain.errors import Unreachable
from cloud.chain.fees import first_fees
from cloud.errors import BillingError
from cloud.settings import OperatorSettings, read_secret
from contracts.bill import LINE_BYTES, BillTree, Line, LineKind, Node, decode_line
from contracts.calls import tariffs, usage_fees
from contracts.ending import end_tasks
from contracts.key_table import KeyTable

__all__ = ["Posting", "credits_of"]

_KIND_AT = 31
_PATIENCE_SECONDS = 60.0
_CHAIN_PATIENCE_SECONDS = 3600.0
_PAUSE_SECONDS = 0.1
_PAUSE_SECONDS_MAX = 15.0
_ANSWER_SECONDS = 60.0
_COMPARE_SECONDS = 600.0
_GAS_PARTS = 4
_BLOCKS_AHEAD = 4
_NOT_YET = (409, 429, 503)

Answer = TypeVar("Answer")


class Posting:
    """The operator's two connections, open while a period is posted. Every step may be done again.

    Args:
        client: the chain, instead of the one that the settings name.
        say: told what is waited for.
    """

    def __init__(
        self,
        settings: OperatorSettings,
        place: BillPlace,
        *,
        client: ChainClient | None = None,
        say: Callable[[str], None] = lambda words: None,
    ) -> None:
        self._settings, self._place, self._say = settings, place, say
        self._client = client or ChainClient(settings.chain.rpc, quorum=settings.chain.quorum)
        self._http = httpx.AsyncClient(
            base_url=settings.cloud_url.rstrip("/"), timeout=_ANSWER_SECONDS, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()
        await self._client.close()

    async def close(self, root: Node, *, unit_count: int) -> None:
        """Send `close_period` from the operator's own account, unless this very root stands on chain already.

        Raises:
            BillingError: another root stands there, or the contract refuses.
        """
        contract, period = self._place.contract, self._place.period
        asked = usage_fees.period(contract, period=period)
        answer = await self._patiently("asking for the period", lambda: self._call(asked.data))
        held = usage_fees.parse_period(answer)
        if held.closed_at:
            if held.root != root.hash:
                raise BillingError(
                    f"period {period} is closed with another root, {held.root.hex()}; it cannot be posted twice"
                )
            return
        call = usage_fees.close_period(contract, period=period, root=root.hash, sums=root.sums, unit_count=unit_count)
        await self._send(call.data, f"closing period {period}")

    async def post_volumes(self, volumes: Sequence[KeyTable]) -> None:
        """Put every table of volumes on chain, once for ever, and hand the keys in, so that owners can be shown theirs.

        Raises:
            BillingError: another table stands there, or somebody refuses.
        """
        period = self._place.period
        contract = read_deployment(self._settings.chain.deployment_file).tariffs if volumes else ""
        for table in volumes:
            name, asked = (
                f"volumes of pool {table.pool.hex()[:12]}…",
                tariffs.volumes(contract, pool=table.pool, period=period),
            )
            answer = await self._patiently(f"asking for {name}", partial(self._call, asked.data, contract))
            held = tariffs.parse_volumes(answer)
            if held == bytes(32):
                await self._send(tariffs.post_volumes(contract, period=period, table=table).data, name, to=contract)
            elif held != sha256(table.encode()).digest():
                raise BillingError(
                    f"{name} were posted for {period} with other numbers and never change; the bills must go by those"
                )
            path, headers = f"/v1/bills/{period}/volumes", {"content-type": VOLUMES_MEDIA_TYPE}
            body = await asyncio.to_thread(encode_volumes, table)
            await self._asked(partial(self._http.post, path, content=body, headers=headers))

    async def _send(self, data: bytes, what: str, *, to: str | None = None) -> None:
        raw, transaction_hash = await self._patiently(what, lambda: self._signed(data, to or self._place.contract))
        refusals: list[str] = []

        async def receipt() -> Receipt:
            # These very bytes again after each silence: nobody knows whether they had arrived, and twice is as once.
            refusals[:] = await self._client.broadcast(raw)
            return await wait_for_receipt(self._client, transaction_hash, what=what, refusals=refusals)

        found = await self._patiently(what, receipt)
        if not found.succeeded:
            raise BillingError(f"{what} was reverted in {transaction_hash}; is the bond above its floor?")
        print(f"{what}: block {found.block_number}, transaction {transaction_hash}, {found.gas_used} gas")

    async def _signed(self, data: bytes, contract: str) -> tuple[bytes, str]:
        """A transaction to a contract from the operator's account, and its hash."""
        client, chain = self._client, self._settings.chain
        key = SigningKey(read_secret(self._settings.operator_key_file))
        gas = await client.estimate_gas(contract, data, sender=key.address)
        asked = await client.fees_asked(priority=chain.priority_fee_wei, legacy=chain.legacy_transactions)
        fees = first_fees(asked, cap=chain.fee_cap_wei)
        return key.sign(
            {
                **fees.fields(),
                "chainId": chain.chain_id,
                "nonce": await client.nonce(key.address),
                "to": contract,
                "value": 0,
                "data": "0x" + data.hex(),
                "gas": gas + gas // _GAS_PARTS,
            }
        )

    async def _patiently(self, what: str, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """What the chain answers, asked again with longer and longer pauses while its nodes are silent.

        Raises:
            BillingError: they were silent for an hour. The same command goes on.
        """
        deadline, pause = time.monotonic() + _CHAIN_PATIENCE_SECONDS, _PAUSE_SECONDS
        while True:
            try:
                return await ask()
            except Unreachable as error:
                if time.monotonic() > deadline:
                    after = f"for {_CHAIN_PATIENCE_SECONDS / 60:g} minutes"
                    raise BillingError(
                        f"{what}: no chain node answered {after} ({error}); `minglou chain doctor` says more; run the "
                        f"same command again"
                    ) from error
                self._say(f"{what}: waiting for the chain ({error}); asking again in {pause:.1f} s")
            await asyncio.sleep(pause)
            pause = min(2 * pause, _PAUSE_SECONDS_MAX)

    async def upload(
        self, contents: Sequence[bytes], tree: BillTree, on_held: Callable[[int], None] = lambda held: None
    ) -> None:
        """Hand the bills to the cloud from where it stands, waiting until it has followed the chain to the closing."""
        path = f"/v1/bills/{self._place.period}"
        found = await self._asked(partial(self._http.get, path), may_be_unknown=True)
        held = int(found["held"]) if found is not None and found["root"] == tree.root.hash.hex() else 0
        # While one block is written the cloud's processes can verify and seal the next ones.
        ahead: deque[asyncio.Task[int]] = deque()
        try:
            for first in range(held, tree.unit_count, BILLS_AT_ONCE):
                ahead.append(asyncio.create_task(self._upload_block(first, contents, tree)))
                if len(ahead) == _BLOCKS_AHEAD:
                    on_held(await ahead.popleft())
            while ahead:
                on_held(await ahead.popleft())
        finally:
            await end_tasks(ahead)

    async def _upload_block(self, first: int, contents: Sequence[bytes], tree: BillTree) -> int:
        some, above = contents[first : first + BILLS_AT_ONCE], tree.block_path(first, level=UPLOAD_LEVEL)
        body = await asyncio.to_thread(encode_block, BillBlock(first=first, contents=some, path=above))
        path, headers = f"/v1/bills/{self._place.period}/units", {"content-type": MEDIA_TYPE}
        found = await self._asked(lambda: self._http.post(path, content=body, headers=headers))
        return int(found["held"])

    async def give_credits(self, contents: Sequence[bytes]) -> int:
        """Give every credit note that the bills name and the contract has not given yet; how many.

        Raises:
            BillingError: the contract refuses; it has collected less, for example. The same command asks again.
        """
        given = 0
        for unit_index, line in credits_of(contents):
            asked = usage_fees.note(self._place.contract, digest=line.subject)
            answer = await self._patiently("asking for a credit note", partial(self._call, asked.data))
            _, amount = usage_fees.parse_note(answer)
            if not amount:
                call = usage_fees.credit(
                    self._place.contract, unit_index=unit_index, amount=line.amount, note=line.subject
                )
                await self._send(call.data, f"credit note of {line.amount} fen for unit {unit_index}")
                given += 1
        return given

    async def _call(self, data: bytes, to: str | None = None) -> bytes:
        return await self._client.call(to or self._place.contract, data)

    async def compare(self, contents: Sequence[bytes]) -> list[str]:
        """What the cloud itself computes otherwise, in words: for whoever shows that the bills are theirs."""
        path, ask = f"/v1/bills/{self._place.period}/compare", {SALTS_HEADER: salts_digest(contents).hex()}
        found = await self._asked(lambda: self._http.post(path, headers=ask, timeout=_COMPARE_SECONDS))
        said, count = list(found["mismatches"]), int(found["count"])
        more = count - len(said)
        return [*said, f"{more} more of {count} lines; `minglou billing replay` tells every one"] if more else said

    async def _asked(self, ask: Callable[[], Awaitable[httpx.Response]], *, may_be_unknown: bool = False) -> Any:
        """The cloud's answer, asked again while it is away or behind; None where what may be unknown is.

        Raises:
            BillingError: it refuses, or is away for too long.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                answer = await ask()
            except httpx.TransportError as error:
                says = f"{type(error).__name__}: {error}"
            else:
                if answer.status_code == 200:
                    return answer.json()
                if answer.status_code == 404 and may_be_unknown:
                    return None
                says = answer.text[:500]
                if answer.status_code not in _NOT_YET:
                    raise BillingError(f"the cloud refused the bills: {says}")
            if time.monotonic() > deadline:
                after = f"within {_PATIENCE_SECONDS:g} s"
                raise BillingError(f"the cloud did not take the bills {after}: {says}; run the same command again")
            await asyncio.sleep(_PAUSE_SECONDS)


def credits_of(contents: Sequence[bytes]) -> Iterator[tuple[int, Line]]:
    """Unit index and line of every credit note that bills name."""
    for unit_index, content in enumerate(contents):
        for start in range(SALT_BYTES, len(content), LINE_BYTES):
            if content[start + _KIND_AT] == LineKind.CREDIT:
                yield unit_index, decode_line(content[start : start + LINE_BYTES])
