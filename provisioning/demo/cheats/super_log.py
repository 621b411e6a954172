"""Rewriting the super-log: its operator signs another history with the true key, and asks the witnesses for help."""

from __future__ import annotations

import asyncio
import secrets
import urllib.request
from dataclasses import dataclass

from contracts import ed25519
from contracts.checkpoint import Checkpoint
from contracts.errors import ContractsError
from contracts.superlog import parse_superlog, sign_superlog, verify_cosignatures
from contracts.trust import parse_trust
from contracts.witness import AddCheckpoint, encode_add_checkpoint
from provisioning.demo.cheats.report import CheatReport, Notice
from provisioning.demo.cheats.scene import Scene, fetch
from provisioning.demo.errors import DemoError
from provisioning.demo.witnesses import PARTIES, Party

__all__ = ["Rewritten", "rewrite_the_super_log", "try_to_rewrite"]

_TRIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """What came of it."""

    size: int
    cosigned_by: tuple[str, ...]
    refused_by: tuple[str, ...]
    witnessed: int
    quorum: int
    of: int

    @property
    def is_useless(self) -> bool:
        """Whether no verifier believes it."""
        return self.witnessed < self.quorum


async def try_to_rewrite(scene: Scene) -> Rewritten:
    """Show each witness another root for the size that it cosigned last."""
    key = ed25519.load_pem((scene.places.keys / "superlog.pem").read_bytes())
    head = parse_superlog((await scene.ask_cloud("/log/checkpoint")).body.decode())
    forged = sign_superlog(Checkpoint(origin=head.origin, size=head.size, root=secrets.token_bytes(32)), key)
    cosigned: list[str] = []
    refused: list[str] = []
    lines = ""
    for party in PARTIES:
        line = await _ask(scene, party, forged, key)
        (refused if line is None else cosigned).append(party.name)
        lines += line or ""
    policy = parse_trust(scene.places.trust_file.read_bytes()).witness_policy
    return Rewritten(
        size=head.size,
        cosigned_by=tuple(cosigned),
        refused_by=tuple(refused),
        witnessed=len(verify_cosignatures(forged + lines, policy)),
        quorum=policy.quorum,
        of=len(policy.witnesses),
    )


async def rewrite_the_super_log(scene: Scene) -> CheatReport:
    """The same, as a button."""
    done = await try_to_rewrite(scene)
    noticed = [Notice(who=f"the {name}'s witness", check="422", says="another root") for name in done.refused_by]
    if done.is_useless:
        says = f"witnessed {done.witnessed} of {done.of}; trust.json asks for {done.quorum}"
        noticed.append(Notice(who="minglou verify", check="witnesses", says=says))
    return CheatReport(
        before=f"super-log of {done.size} checkpoints, cosigned",
        after=f"another root for the same size, signed by the super-log's own key; cosigned by {done.cosigned_by}",
        noticed=tuple(noticed),
        repaired="nothing to repair: no witness but the bribed one took it, and each keeps it as proof",
    )


async def _ask(scene: Scene, party: Party, forged: str, key: ed25519.PrivateKey) -> str | None:
    """The witness's line over a forged head; None where it refuses because it holds another history.

    The log goes on growing meanwhile, so the forgery is made anew for the size that the witness names.
    """
    checkpoint, old_size = parse_superlog(forged), 0
    for _ in range(_TRIES):
        note = sign_superlog(checkpoint, key)
        body = encode_add_checkpoint(AddCheckpoint(old_size=old_size, proof=(), note=note))
        url = f"{party.url(scene.state.ports)}/add-checkpoint"
        answer = await asyncio.to_thread(fetch, urllib.request.Request(url, data=body))  # noqa: S310 - our own address
        if answer.code == 200 and note == forged:
            return answer.body.decode()
        if answer.code == 422:
            return None
        if answer.code != 409:
            raise DemoError(f"the {party.name}'s witness answered {answer.code}: {answer.body[:100]!r}")
        try:
            old_size = int(answer.body)
            checkpoint = Checkpoint(origin=checkpoint.origin, size=old_size, root=secrets.token_bytes(32))
        except (ValueError, ContractsError) as error:
            raise DemoError(f"the {party.name}'s witness answered 409 {answer.body[:100]!r}") from error
    raise DemoError(f"the {party.name}'s witness moved on {_TRIES} times; try again")
