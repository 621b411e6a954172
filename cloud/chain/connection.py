"""Everything that needs the chain, opened together: client, view, follower, sender, anchoring, billing's chain side."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from cloud.billing.settlement import Settlement
from cloud.chain.anchoring import Anchoring
from cloud.chain.breaker import Breaker, Cause, cause_of
from cloud.chain.builders import ChainBuilders
from cloud.chain.client import ChainClient, SigningKey
from cloud.chain.deployment import Deployment, wait_for_deployment
from cloud.chain.follower import Follower
from cloud.chain.reading import FollowedReader
from cloud.chain.sender import Sender, SenderLimits
from cloud.chain.view import ChainView
from cloud.directory import DirectoryFile
from cloud.errors import ChainError
from cloud.lease import Lease
from cloud.mail import Bell
from cloud.maintenance.ground import Ground
from cloud.maintenance.view import MaintenanceView
from cloud.maintenance.worker import Maintenance
from cloud.settings import ChainSettings, CloudSettings, read_secret
from cloud.status import ChainStatus
from cloud.store import Store
from cloud.super_log import SuperLog
from cloud.workers import Worker
from contracts.calls import usage_fees

__all__ = ["ChainConnection", "open_chain"]

_log = logging.getLogger("cloud.chain")
_DEPLOYMENT_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainConnection:
    """The chain side of one cloud."""

    settings: ChainSettings
    client: ChainClient
    deployment: Deployment
    view: ChainView
    follower: Follower
    sending: "Sending | None"
    breaker: Breaker
    anchoring: Anchoring
    settlement: Settlement
    upkeep: Maintenance
    known_terms: list[usage_fees.Terms] = field(default_factory=list)

    @property
    def maintenance(self) -> MaintenanceView:
        """What the contracts say of crews, agreements, visits, orders and labels."""
        return self.upkeep.ground.view

    async def terms(self) -> usage_fees.Terms:
        """What was fixed at deployment, so asked once. Raises `ChainError`."""
        if not self.known_terms:
            asked = usage_fees.terms(self.deployment.usage_fees)
            self.known_terms.append(usage_fees.parse_terms(await self.client.call(asked.to, asked.data)))
        return self.known_terms[0]

    def status(self) -> ChainStatus:
        """Where the followed chain stands."""
        return ChainStatus(
            followed_block=self.follower.followed[0],
            head_block=self.follower.head_number,
            final_block=self.follower.final[0],
            anchored_size=self.view.anchors[-1].size if self.view.anchors else 0,
            anchored_final_size=self.view.final_super_size(),
            is_sender=self.sending is not None and self.sending.is_holder,
            stopped=self.breaker.open,
            endpoints={one.name: one.set_aside or "believed" for one in self.client.endpoints},
        )

    def workers(self) -> Sequence[Worker]:
        """The background workers, in no order."""
        pause = self.settings.poll_seconds
        workers = [
            Worker(name="follower", prepare=self.follower.load, step=self._follow, pause_seconds=pause),
            Worker(name="anchoring", step=self.anchoring.step, pause_seconds=pause),
            Worker(name="settlement", step=self.settlement.step, pause_seconds=max(pause, 0.5)),
            Worker(name="maintenance", step=self.upkeep.step, pause_seconds=max(pause, 0.5)),
        ]
        if self.sending is not None:
            workers.append(
                Worker(name="sender", prepare=self.sending.prepare, step=self.sending.step, pause_seconds=pause)
            )
        return workers

    async def _follow(self) -> bool:
        """The follower's step; what keeps it from following also keeps the sender from sending."""
        try:
            changed = await self.follower.step()
        except ChainError as error:
            cause = cause_of(error)
            if cause is not None:
                await self.breaker.trouble(cause, str(error), who="follower")
            raise
        await self.breaker.gone(Cause.UNREACHABLE, Cause.DISAGREEMENT, Cause.FINALITY, who="follower")
        return changed


class Sending:
    """The sender, made when it is first needed: its signing library takes seconds to import."""

    def __init__(self, make: Callable[[], Sender], follower: Follower) -> None:
        self._make, self._follower = make, follower
        self._sender: Sender | None = None

    async def prepare(self) -> None:
        """Load the key, in a thread."""
        if self._sender is None:
            self._sender = await asyncio.to_thread(self._make)

    @property
    def is_holder(self) -> bool:
        """Whether this process, of all on the database, is the one that sends."""
        return self._sender is not None and self._sender.is_holder

    async def step(self) -> bool:
        """One look after all open transactions; never asks for another at once, a block at a time is fast enough."""
        assert self._sender is not None, "prepared"
        if self._follower.followed[0] >= self._follower.head_number:  # builders ask the view: it must have caught up
            await self._sender.step()
        return False


async def open_chain(
    settings: CloudSettings,
    store: Store,
    super_log: SuperLog,
    directory: DirectoryFile,
    bell: Bell,
    stack: AsyncExitStack,
) -> ChainConnection:
    """Open the chain side; the node need not be up yet, the deployment file must appear within a minute."""
    chain = settings.chain
    assert chain is not None
    if not chain.deployment_file.exists():
        _log.info("cloud: waiting for %s", chain.deployment_file)
    deployment = await wait_for_deployment(chain.deployment_file, seconds=_DEPLOYMENT_SECONDS)
    client = ChainClient(chain.rpc, quorum=chain.quorum)
    stack.push_async_callback(client.close)
    lease = Lease(store)
    stack.push_async_callback(lease.release)

    async def tell(says: str) -> None:
        await store.notice(says, at_ms=settings.clock.now_ms())

    breaker = Breaker(tell)
    view, maintenance = ChainView(chain.chain_id), MaintenanceView()
    follower = Follower(
        store=store,
        client=client,
        deployment=deployment,
        clock=settings.clock,
        listeners=[view, maintenance],
        finality_depth=chain.finality_depth,
        resends_lost=chain.resends_lost,
        lease=lease,
        chain_id=chain.chain_id,
    )
    reader = FollowedReader(client=client, place=follower)
    await follower.load()
    builders = ChainBuilders(store=store, reader=reader, deployment=deployment, view=view)
    settlement = Settlement(store=store, reader=reader, deployment=deployment, view=view, clock=settings.clock)
    ground = Ground(
        store=store, reader=reader, deployment=deployment, chain=view, view=maintenance, clock=settings.clock
    )
    upkeep = Maintenance(ground, directory)

    def make_sender() -> Sender:
        assert settings.relayer_key_file is not None
        return Sender(
            store=store,
            client=client,
            key=SigningKey(read_secret(settings.relayer_key_file)),
            clock=settings.clock,
            limits=SenderLimits(
                chain_id=chain.chain_id,
                fee_cap_wei=chain.fee_cap_wei,
                priority_fee_wei=chain.priority_fee_wei,
                stuck_seconds=chain.stuck_seconds,
                legacy=chain.legacy_transactions,
            ),
            builders={**builders.by_kind(), **settlement.builders(), **upkeep.builders()},
            place=follower,
            lease=lease,
            breaker=breaker,
        )

    if settings.relayer_key_file is not None:
        read_secret(settings.relayer_key_file)  # a missing key is said at start, not at the first anchor
    anchoring = Anchoring(
        store=store,
        super_log=super_log,
        view=view,
        clock=settings.clock,
        interval_seconds=settings.anchor_seconds,
        accept_seconds=settings.accept_seconds,
        cosigners=settings.cosigners,
    )
    return ChainConnection(
        settings=chain,
        client=client,
        deployment=deployment,
        view=view,
        follower=follower,
        breaker=breaker,
        sending=Sending(make_sender, follower) if settings.relayer_key_file else None,
        anchoring=anchoring,
        settlement=settlement,
        upkeep=upkeep,
    )
