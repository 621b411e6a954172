"""`minglou chain doctor`: every endpoint of a cloud's settings is asked, and what is wrong is said with its remedy.

The doctor reads; it sends nothing and writes nothing. It may run beside the serving cloud.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from cloud.chain.answers import Block
from cloud.chain.client import ChainClient, SigningKey
from cloud.chain.deployment import Deployment, read_deployment
from cloud.chain.directory import abi_of, view_function
from cloud.chain.features import Features, probe
from cloud.chain.fees import first_fees
from cloud.errors import ChainError, CloudError, SettingsError
from cloud.settings import ChainSettings, CloudSettings, read_secret
from cloud.store import Store, tables

__all__ = ["Check", "check_all", "table_lines", "to_json"]

State = Literal["ok", "note", "FAIL"]
_HEAD_AGE_MAX_SECONDS = 600
_FINAL_BEHIND_MAX = 300
_LAG_MAX_BLOCKS = 5
_RUNWAY_MIN_DAYS = 7
_RUNWAY_ATTEMPTS = 200
_STUCK_TIMES = 3
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One named check: `note` is missing and can be done without, `FAIL` needs somebody."""

    name: str
    of: str  # an endpoint's name, the relayer, the outbox
    state: State
    says: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What one endpoint says of the chain."""

    name: str
    client: ChainClient
    latest: Block


def table_lines(checks: Sequence[Check]) -> list[str]:
    """For people: one line a check, the remedy below what is not in order."""
    width = max((len(check.of) for check in checks), default=0)
    lines = []
    for check in checks:
        lines.append(f"{check.state:4}  {check.of:{width}}  {check.name}: {check.says}")
        if check.remedy and check.state != "ok":
            lines.append(f"{'':{width + 8}}-> {check.remedy}")
    return lines


def to_json(checks: Sequence[Check]) -> dict[str, Any]:
    """For programs."""
    return {"ok": all(check.state != "FAIL" for check in checks), "checks": [asdict(check) for check in checks]}


async def check_all(settings: CloudSettings) -> list[Check]:
    """Every check of a cloud's chain side. Raises `SettingsError` where the settings name no chain."""
    chain = settings.chain
    if chain is None:
        raise SettingsError("the settings have no [chain]; there is nothing to look at")
    deployment = read_deployment(chain.deployment_file)
    clients = [ChainClient([url]) for url in chain.rpc]
    together = ChainClient(chain.rpc, quorum=chain.quorum)
    try:
        checks: list[Check] = []
        seen = []
        for client, named in zip(clients, together.endpoints, strict=True):
            found = await _endpoint_checks(checks, named.name, client, settings, deployment)
            seen += [found] if found is not None else []
        checks += await _agreement(together, seen)
        if len(seen) >= together.quorum:
            checks += await _guarded("relayer", lambda: _relayer_checks(together, settings, deployment))
        return checks
    finally:
        for client in (*clients, together):
            await client.close()


# -- endpoints -------------------------------------------------------------------------------------------------------


async def _endpoint_checks(
    checks: list[Check], name: str, client: ChainClient, settings: CloudSettings, deployment: Deployment
) -> _Seen | None:
    """What one endpoint is worth; None where it does not answer."""
    chain = settings.chain
    assert chain is not None
    started = time.monotonic()
    try:
        features = await probe(client)
        latest = await client.latest()
    except ChainError as error:
        remedy = "start the node, or correct its URL in [chain] rpc; the others are asked meanwhile"
        checks.append(Check(name="reachable", of=name, state="FAIL", says=str(error)[:200], remedy=remedy))
        return None
    milliseconds = (time.monotonic() - started) * 1000
    checks.append(Check(name="reachable", of=name, state="ok", says=f"nine questions in {milliseconds:.0f} ms"))
    checks.append(_chain_id(name, features, chain))
    checks.append(_head_age(name, latest, settings))
    checks += await _guarded(name, lambda: _finality(name, client, latest, chain))
    checks += _features(name, features)
    checks += await _guarded(name, lambda: _code(name, client, deployment))
    return _Seen(name=name, client=client, latest=latest)


def _chain_id(name: str, features: Features, chain: ChainSettings) -> Check:
    if features.chain_id == chain.chain_id:
        return Check(name="chain id", of=name, state="ok", says=str(chain.chain_id))
    says = f"{features.chain_id}, the settings say {chain.chain_id}"
    return Check(name="chain id", of=name, state="FAIL", says=says, remedy="remove this endpoint from [chain] rpc")


def _head_age(name: str, latest: Block, settings: CloudSettings) -> Check:
    age = settings.clock.now_ms() // 1000 - latest.timestamp
    says = f"block {latest.number}, {age} s old"
    if age <= _HEAD_AGE_MAX_SECONDS:
        return Check(name="head", of=name, state="ok", says=says)
    remedy = "the node has lost its peers, the chain stands still, or this machine's clock is wrong: look at each"
    return Check(name="head", of=name, state="FAIL", says=says, remedy=remedy)


async def _finality(name: str, client: ChainClient, latest: Block, chain: ChainSettings) -> list[Check]:
    if chain.finality_depth is not None:
        says = f"{chain.finality_depth} blocks deep, by the settings"
        return [Check(name="finality", of=name, state="ok", says=says)]
    final = await client.finalized()
    if final is None:
        remedy = "set [chain] finality_depth to a number of blocks that this chain never takes back"
        return [Check(name="finality", of=name, state="FAIL", says="it knows no `finalized` block", remedy=remedy)]
    behind = latest.number - final.number
    says = f"block {final.number}, {behind} behind the head"
    if behind <= _FINAL_BEHIND_MAX:
        return [Check(name="finality", of=name, state="ok", says=says)]
    remedy = "the chain does not finalize at present; nothing is called final until it does"
    return [Check(name="finality", of=name, state="note", says=says, remedy=remedy)]


def _features(name: str, features: Features) -> list[Check]:
    wanted = (
        (
            "precompile 0x100",
            features.p256_precompile,
            "the site needs P256Verifier, which `chain deploy` brings along",
        ),
        ("eth_getProof", features.account_proofs, "evidence carries no state proofs from this node"),
        ("eth_feeHistory", features.fee_history, "not needed: fees follow the last block's base fee"),
        ("base fee", features.base_fee, "transactions carry the nodes' gas price"),
    )
    return [
        Check(name=what, of=name, state="ok" if there else "note", says="yes" if there else "no", remedy=then)
        for what, there, then in wanted
    ]


async def _code(name: str, client: ChainClient, deployment: Deployment) -> list[Check]:
    bare = [
        f"{contract} {address}" for address, contract in deployment.addresses.items() if not await client.code(address)
    ]
    if not bare:
        return [Check(name="contracts", of=name, state="ok", says=f"{len(deployment.addresses)} have code")]
    remedy = "the node is on another chain or behind the deployment, or deployment.json is another site's"
    return [Check(name="contracts", of=name, state="FAIL", says=f"no code at {', '.join(bare)}", remedy=remedy)]


async def _agreement(together: ChainClient, seen: Sequence[_Seen]) -> list[Check]:
    """Whether the endpoints are on one chain, at the highest block that all have, and who is behind."""
    if len(seen) < together.quorum:
        says = f"{len(seen)} of {len(together.endpoints)} endpoints answer, {together.quorum} are needed"
        remedy = "start nodes or name others in [chain] rpc; until then nothing is sent or called final"
        return [Check(name="quorum", of="all", state="FAIL", says=says, remedy=remedy)]
    checks = [Check(name="quorum", of="all", state="ok", says=f"{len(seen)} answer, {together.quorum} are needed")]
    common, highest = min(one.latest.number for one in seen), max(one.latest.number for one in seen)
    for one in seen:
        if highest - one.latest.number > _LAG_MAX_BLOCKS:
            says = f"{highest - one.latest.number} blocks behind the highest"
            remedy = "wait until it has caught up; it does not count for newer blocks"
            checks.append(Check(name="in step", of=one.name, state="note", says=says, remedy=remedy))
    hashes = {}
    for one in seen:
        block = await one.client.block(common)
        hashes[one.name] = None if block is None else block.hash
    values = list(hashes.values())
    majority = max(values, key=values.count)
    for name, found in hashes.items():
        if found != majority:
            says = f"at block {common} it has {found}, the others {majority}"
            remedy = "it is on another fork, or lies: remove it from [chain] rpc until it agrees"
            checks.append(Check(name="agreement", of=name, state="FAIL", says=says, remedy=remedy))
    if values.count(majority) == len(values):
        checks.append(Check(name="agreement", of="all", state="ok", says=f"block {common} is {majority}"))
    return checks


# -- the relayer and its outbox --------------------------------------------------------------------------------------


async def _relayer_checks(client: ChainClient, settings: CloudSettings, deployment: Deployment) -> list[Check]:
    if settings.relayer_key_file is None:
        return [Check(name="relayer", of="relayer", state="note", says="no relayer_key_file: this cloud sends nothing")]
    address = SigningKey(read_secret(settings.relayer_key_file)).address.lower()
    checks = [await _role(client, deployment, address)]
    try:
        outbox = await _read_outbox(settings, address)
    except (DBAPIError, CloudError, OSError) as error:
        remedy = "is [store] url right, and has the cloud been started once?"
        return [*checks, Check(name="store", of="outbox", state="FAIL", says=str(error)[:200], remedy=remedy)]
    nonce = await client.nonce(address)
    checks.append(await _runway(client, settings, address, outbox))
    checks += [_gaps(nonce, outbox), _stuck(nonce, outbox), _refused(outbox)]
    return checks


async def _role(client: ChainClient, deployment: Deployment, address: str) -> Check:
    view = view_function(abi_of("AnchorLog"), "relayer")
    holder = str(view.decode(await client.call(deployment.anchor_log, view.encode()))[0]).lower()
    if holder == address:
        return Check(name="role", of="relayer", state="ok", says=f"{address} anchors")
    says = f"AnchorLog lets {holder} anchor; the key file is {address}"
    remedy = "use that key file, or let manager and committee name the new relayer (Registry batch)"
    return Check(name="role", of="relayer", state="FAIL", says=says, remedy=remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class _OutboxState:
    open_nonces: tuple[int, ...]
    oldest_open_ms: int | None  # age of the oldest unmined attempt
    gas: int  # of the newest settled transactions together
    count: int
    span_ms: int  # over which they were signed
    refused: int
    stuck_seconds: float
    followed: int | None


async def _read_outbox(settings: CloudSettings, address: str) -> _OutboxState:
    assert settings.chain is not None
    column, intent = tables.attempts.c, tables.intents.c
    store = Store(settings.store_url)
    try:
        async with store.read() as connection:
            mine = column.account == address
            unmined = (
                await connection.execute(
                    select(column.nonce, column.signed_at_ms)
                    .where(mine, column.state == "signed")
                    .order_by(column.nonce)
                )
            ).all()
            settled = (
                await connection.execute(
                    select(column.gas_used, column.signed_at_ms)
                    .where(mine, column.gas_used.is_not(None))
                    .order_by(column.attempt_id.desc())
                    .limit(_RUNWAY_ATTEMPTS)
                )
            ).all()
            refused = (
                await connection.execute(
                    select(func.count()).select_from(tables.intents).where(intent.state == "refused")
                )
            ).scalar_one()
            cursor = (await connection.execute(select(tables.chain_cursor.c.followed_number))).scalar_one_or_none()
    finally:
        await store.close()
    now = settings.clock.now_ms()
    signed = [row.signed_at_ms for row in settled]
    return _OutboxState(
        open_nonces=tuple(sorted({row.nonce for row in unmined})),
        oldest_open_ms=max((now - row.signed_at_ms for row in unmined), default=None),
        gas=sum(row.gas_used for row in settled),
        count=len(settled),
        span_ms=max(signed) - min(signed) if signed else 0,
        refused=int(refused),
        stuck_seconds=settings.chain.stuck_seconds,
        followed=cursor,
    )


async def _runway(client: ChainClient, settings: CloudSettings, address: str, outbox: _OutboxState) -> Check:
    """How long the money lasts at the pace of the newest transactions and at what is offered now."""
    chain = settings.chain
    assert chain is not None
    balance = await client.balance(address)
    asked = await client.fees_asked(priority=chain.priority_fee_wei, legacy=chain.legacy_transactions)
    try:
        offer = first_fees(asked, cap=chain.fee_cap_wei).max_fee
    except ChainError as error:
        remedy = "wait, or raise [chain] fee_cap_gwei"
        return Check(name="fees", of="relayer", state="FAIL", says=str(error), remedy=remedy)
    says = f"{balance / 10**18:.6g} coins"
    if offer == 0:
        return Check(name="balance", of="relayer", state="ok", says=f"{says}, and gas is free")
    if outbox.count < 2 or outbox.span_ms <= 0:
        state: State = "ok" if balance > 0 else "FAIL"
        return Check(name="balance", of="relayer", state=state, says=says, remedy=f"send money to {address}")
    days = balance / (outbox.gas * offer * _DAY_MS / outbox.span_ms)
    state = "ok" if days >= _RUNWAY_MIN_DAYS else "FAIL"
    says = f"{says}, enough for {days:.4g} days at the pace of the last {outbox.count} transactions"
    return Check(name="balance", of="relayer", state=state, says=says, remedy=f"send money to {address}")


def _gaps(nonce: int, outbox: _OutboxState) -> Check:
    open_nonces = [one for one in outbox.open_nonces if one >= nonce]
    if not open_nonces or open_nonces[0] == nonce:
        return Check(name="nonces", of="outbox", state="ok", says=f"next {nonce}, {len(open_nonces)} under way")
    says = f"the chain waits for nonce {nonce}, the outbox's lowest is {open_nonces[0]}"
    remedy = "the sender fills the gap by itself once it runs; if it recurs, somebody else uses this key"
    return Check(name="nonces", of="outbox", state="FAIL", says=says, remedy=remedy)


def _stuck(nonce: int, outbox: _OutboxState) -> Check:
    limit = _STUCK_TIMES * outbox.stuck_seconds * 1000
    if (
        outbox.oldest_open_ms is None
        or outbox.oldest_open_ms <= limit
        or not any(one >= nonce for one in outbox.open_nonces)
    ):
        return Check(name="stuck", of="outbox", state="ok", says="nothing waits for long")
    says = f"a transaction waits for {outbox.oldest_open_ms // 1000} s"
    remedy = (
        "is a cloud running that sends (`sender` in /v1/status)? is [chain] fee_cap_gwei above what the chain asks?"
    )
    return Check(name="stuck", of="outbox", state="FAIL", says=says, remedy=remedy)


def _refused(outbox: _OutboxState) -> Check:
    if not outbox.refused:
        return Check(name="refused", of="outbox", state="ok", says="no wish was given up")
    remedy = "`says` in the table intents has the contract's reason; after repair set their state to 'pending'"
    return Check(name="refused", of="outbox", state="FAIL", says=f"{outbox.refused} wishes given up", remedy=remedy)


async def _guarded(of: str, checks: Callable[[], Awaitable[list[Check]]]) -> list[Check]:
    """Checks whose questions may fail in themselves."""
    try:
        return await checks()
    except ChainError as error:
        remedy = "ask again; if it stays so, use another endpoint"
        return [Check(name="answers", of=of, state="FAIL", says=str(error)[:200], remedy=remedy)]
