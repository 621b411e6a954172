"""Named checks of a running cloud, each with what to do when it fails.

A check is *needed* when a gateway or a reader could not be served without it. A chain node that is down is told and is
not needed: entries are taken and kept meanwhile, and what waits for the chain goes on by itself. Only until the chain
was followed to its newest blocks for the first time, gateways that are enrolled in later ones would be refused.
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select

from cloud.service import Cloud
from cloud.status import ChainStatus
from cloud.store import tables
from cloud.store.away import STORE_ERRORS

__all__ = ["FREE_BYTES_MIN", "Check", "is_ready", "readiness", "to_json"]

FREE_BYTES_MIN = 512 * 1024 * 1024
_BLOCKS_BEHIND_MAX = 64
_LAG_SECONDS_MAX = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question that was asked of the cloud itself."""

    name: str
    passed: bool
    needed: bool
    says: str  # what was found and, where it failed, what to do


async def readiness(cloud: Cloud) -> Sequence[Check]:
    """Every check, in the order in which an operator would look."""
    return [await _store(cloud), _disk(cloud), *_ingest_log(cloud), *_chain(cloud)]


def is_ready(checks: Sequence[Check]) -> bool:
    """Whether traffic may be sent here."""
    return all(check.passed for check in checks if check.needed)


def to_json(checks: Sequence[Check]) -> dict[str, Any]:
    """The answer of /readyz."""
    return {"ready": is_ready(checks), "checks": [asdict(check) for check in checks]}


async def _store(cloud: Cloud) -> Check:
    try:
        async with cloud.store.read() as connection:
            await connection.execute(select(tables.origins.c.log_id).limit(1))
    except STORE_ERRORS as error:
        says = f"the database does not answer ({type(error).__name__}); start it, or correct [store] url"
        if cloud.replicated is not None:
            says += ". Batches are taken into the ingest log meanwhile"
        return Check(name="store", passed=False, needed=cloud.replicated is None, says=says)
    return Check(name="store", passed=True, needed=True, says="the database answers")


def _ingest_log(cloud: Cloud) -> Sequence[Check]:
    if cloud.replicated is None:
        return ()
    standing = cloud.replicated.watch.standing
    says = standing.trouble or f"takes batches; {standing.behind} of them wait for the store"
    takes = Check(name="ingest_log", passed=standing.trouble is None, needed=True, says=says)
    says = f"the oldest acknowledged batch has been waiting for the store for {standing.lag_seconds:.0f} s"
    if standing.lag_seconds > _LAG_SECONDS_MAX:
        says += "; bring PostgreSQL back, or run more replicas"
    lag = Check(name="ingest_log_lag", passed=standing.lag_seconds <= _LAG_SECONDS_MAX, needed=False, says=says)
    says = f"{standing.set_aside} batches are set aside"
    if standing.set_aside:
        says += f"; read their reasons: nats stream view {cloud.replicated.aside_stream}, then purge it"
    return (takes, lag, Check(name="ingest_log_aside", passed=not standing.set_aside, needed=False, says=says))


def _disk(cloud: Cloud) -> Check:
    free = shutil.disk_usage(cloud.settings.data_dir).free
    enough = free >= FREE_BYTES_MIN
    says = f"{free // 2**20} MiB free in {cloud.settings.data_dir}"
    if not enough:
        says += f"; free at least {FREE_BYTES_MIN // 2**20} MiB before entries are refused"
    return Check(name="disk", passed=enough, needed=True, says=says)


def _chain(cloud: Cloud) -> Sequence[Check]:
    status = cloud.chain_status()
    if status is None:
        return ()
    begun = [] if cloud.chain is None else [_chain_begun(cloud.chain.follower.has_caught_up, status)]
    return [*begun, _chain_behind(status)]


def _chain_begun(has_caught_up: bool, status: ChainStatus) -> Check:
    """A name of its own, so that an alert on what is needed does not wake anybody because a node is away."""
    says = "the chain was followed to its newest blocks"
    if not has_caught_up:
        says = (
            f"the chain was followed to block {status.followed_block} and never to its newest ones, so gateways that "
            "were enrolled later are not known; wait, or look at [chain] rpc and run `minglou chain doctor`"
        )
    return Check(name="chain_begun", passed=has_caught_up, needed=True, says=says)


def _chain_behind(status: ChainStatus) -> Check:
    if not status.head_block:
        says = "no chain node has answered yet; look at [chain] rpc, or run `minglou chain doctor`"
        return Check(name="chain", passed=False, needed=False, says=says)
    behind = status.head_block - status.followed_block
    says = f"followed to block {status.followed_block}, {behind} behind the node's head"
    if behind > _BLOCKS_BEHIND_MAX:
        says += "; if that does not shrink, run `minglou chain doctor`"
    return Check(name="chain", passed=behind <= _BLOCKS_BEHIND_MAX, needed=False, says=says)
