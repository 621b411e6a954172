"""Forging a checkpoint: a made-up root under the gateway's name, signed with a key that is not the gateway's."""

from __future__ import annotations

import json
import secrets

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from contracts.batch import MEDIA_TYPE, encode_batch
from contracts.checkpoint import Checkpoint, parse_checkpoint, sign_checkpoint
from contracts.entry import Entry, Kind, encode_entry
from contracts.p256 import generate_key
from contracts.tree import Frontier, leaf_hash
from provisioning.demo.cheats.report import CheatReport, Notice
from provisioning.demo.cheats.scene import Answer, Scene

__all__ = ["forge_a_checkpoint"]

_UNIT = "b07-0502"


async def forge_a_checkpoint(scene: Scene) -> CheatReport:
    """Sign a checkpoint with an own key, put it into an evidence file, and post it with the stolen token."""
    entry = scene.closing_entry(_UNIT)
    evidence = json.loads(await scene.evidence(entry.index))
    true = parse_checkpoint(evidence["log"]["checkpoint"])
    forger = generate_key()
    forged = sign_checkpoint(Checkpoint(origin=true.origin, size=true.size, root=secrets.token_bytes(32)), forger)
    evidence["log"]["checkpoint"] = forged
    canonical = json.dumps(evidence, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    _, noticed = await scene.verify(canonical.encode(), "forged-checkpoint")
    answer = await _post_forged(scene, forger)
    if 400 <= answer.code < 500:
        says = answer.json()
        noticed.append(
            Notice(who="cloud", check=f"{answer.code} {says.get('error')}", says=str(says.get("message", "")))
        )
    held = (await scene.ask_cloud(f"/v1/logs/{scene.origin}")).json()
    return CheatReport(
        before=f"checkpoint of {true.size} entries, root {true.root.hex()[:16]}…, signed by the gateway",
        after="the same name and size, another root, signed by another key",
        noticed=tuple(noticed),
        repaired=f"nothing to repair: the cloud holds the gateway's own {held.get('size')} entries",
    )


async def _post_forged(scene: Scene, forger: EllipticCurvePrivateKey) -> Answer:
    """One forged entry after the last true one, in a batch that is right in everything but the key."""
    held = (await scene.ask_cloud(f"/v1/logs/{scene.origin}")).json()
    size = int(held["size"])
    entry = encode_entry(
        Entry(
            kind=Kind.READING,
            device=scene.names.device(scene.site, scene.meter(_UNIT)),
            observed_at_ms=scene.state.clock.now_ms(),
            quantity="1-0:1.8.0",
            value=1,
            detail_digest=bytes(32),
            salt=secrets.token_bytes(16),
        )
    )
    root = Frontier()
    root.append(leaf_hash(entry))
    note = sign_checkpoint(Checkpoint(origin=scene.origin, size=size + 1, root=root.root()), forger)
    token = (scene.places.gateway / "data" / "uplink.token").read_text().strip()
    return await scene.ask_cloud(
        f"/v1/logs/{scene.origin}/entries",
        body=encode_batch(size, note, [entry], [b""]),
        headers={"Content-Type": MEDIA_TYPE, "Authorization": f"Bearer {token}"},
    )
