"""What a monitor proves, the chain takes: the file ends the gateway's epoch, whoever brings it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloud.chain.deploy import trust_of
from cloud.chain.submit import submit
from cloud.monitor.chain import WatchedChain
from cloud.monitor.growth import Side
from cloud.monitor.proofs import fork_report
from cloud.monitor.sources import NodeRpc, Web
from contracts import ed25519
from contracts.calls import anchor_log
from contracts.entry import Kind
from contracts.onchain import origin_id
from contracts.superlog import superlog_leaf_of
from contracts.tree import inclusion_path
from tests.cloud.chain_site import SUPER_KEY, SUPER_ORIGIN, ChainSite
from tests.cloud.gateway import SimulatedGateway
from tests.conftest import Endpoint


def test_a_monitors_proof_of_two_leaves_ends_the_epoch_on_chain(
    run: Callable[[Any], Any], anvil: Endpoint, tmp_path: Path
) -> None:
    gateway = SimulatedGateway()
    gateway.log_readings(6)
    twin = gateway.twin(4, 999)
    twin.log(Kind.READING, "urn:minglou:cuiyuan:b07:meter:0101-abc", "1-0:1.8.0", 1_000)

    def side(one: SimulatedGateway) -> Side:
        tree = one.tree()
        return Side(size=one.size, leaf=tree.node(0, 4), path=tuple(inclusion_path(tree.node, 4, one.size)))

    async def scenario() -> None:
        site, web = await ChainSite.deploy(anvil.url), Web()
        try:
            await site.enrol(gateway)
            public = ed25519.public_bytes(SUPER_KEY)
            trust = trust_of(site.deployment, super_log_origin=SUPER_ORIGIN, super_log_public=public)
            leaf_a, leaf_b = superlog_leaf_of(gateway.note()), superlog_leaf_of(twin.note())
            chain = WatchedChain(NodeRpc(web, anvil.url), trust)
            await asyncio.to_thread(lambda: chain.read_keys(0, chain.newest_block()))
            assert chain.has_signed(leaf_a) and chain.has_signed(leaf_b)
            stranger = SimulatedGateway(origin=gateway.origin)
            assert not chain.has_signed(superlog_leaf_of(stranger.note()))
            assert not replace(chain, keys={}).has_signed(leaf_a)

            proof = fork_report(tmp_path, trust, leaf_a, leaf_b, index=4, a=side(gateway), b=side(twin))
            done = await submit(
                site.client, proof.read_bytes(), registry=site.deployment.registry, key=site.keys["cashier"]
            )
            assert done.transaction is not None
            asked = anchor_log.accepted(
                site.deployment.anchor_log, origin_id=origin_id(gateway.origin), head=anchor_log.NO_HEAD
            )
            assert anchor_log.parse_accepted(await site.client.call(asked.to, asked.data)).is_ended
        finally:
            await asyncio.to_thread(web.close)
            await site.close()

    run(scenario())
