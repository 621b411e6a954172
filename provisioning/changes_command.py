"""`minglou provision changes`: what a running chain lacks of your own files, brought there by two parties and time."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from contracts.abi import Call
from contracts.calls import crews
from provisioning.batches import PARTIES, Change, WaitingBatch, announce, approve, check_calls, enact, waiting
from provisioning.changes import OnChain, missing_changes, read_deployed
from provisioning.crews import EnrolledPerson
from provisioning.errors import ChainSetupError
from provisioning.keys import read_secret_hex
from provisioning.names import read_names
from provisioning.people import person_called, read_people
from provisioning.rpc import Rpc, Sender
from provisioning.settings import Places
from provisioning.site import read_site

__all__ = ["add_changes", "run_changes"]

_PARTIES = {"manager": 1, "committee": 2}
_ACTIONS = {
    "show": ("what the chain lacks of your own files, and which batches wait", None),
    "announce": ("put what is missing before the public, with your key", "manager"),
    "approve": ("sign what the other party announced, if your own files give the same", "committee"),
    "enact": ("carry out what both signed, once the delay is over; anyone may", "relayer"),
    "end": ("end somebody's duties and key at once, such as when a phone is lost; one party suffices", "manager"),
}


def add_changes(words: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `changes show|announce|approve|enact|end`."""
    changes = words.add_parser("changes", help="firms, people and labels: from your files to a running chain")
    actions = changes.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, (says, role) in _ACTIONS.items():
        action = actions.add_parser(name, help=says)
        action.add_argument("file", type=Path, metavar="FILE", help="your own copy of the site file")
        action.add_argument("--dir", type=Path, required=True, help="where your keys, names and people are kept")
        action.add_argument("--rpc", required=True, metavar="URL", help="an endpoint of the chain that you trust")
        action.add_argument("--deployment", type=Path, metavar="FILE", help="instead of DIR/chain/deployment.json")
        if role is not None:
            action.add_argument(
                "--as", dest="role", default=role, metavar="ROLE", help=f"whose key of DIR/keys signs (default {role})"
            )
        if name == "end":
            action.add_argument("--alias", required=True, help="the first digits of the person's alias")


def run_changes(arguments: argparse.Namespace) -> int:
    """Run one action; 1 where nothing could be done yet. Raises `ProvisioningError`."""
    places = Places(arguments.dir.absolute())
    at = read_deployed(arguments.deployment or places.deployment_file)
    with closing(Rpc(arguments.rpc)) as rpc:
        site, names, people = read_site(arguments.file), read_names(places.names_file), read_people(places.people_file)
        if arguments.action == "end":
            return _end(rpc, at, read_secret_hex(places.key(arguments.role)), person_called(people, arguments.alias))
        missing = missing_changes(rpc, at, site, names, people)
        desk = _Desk(rpc, at, missing, waiting(rpc, at.registry, from_block=at.from_block))
        if arguments.action == "show":
            return desk.show()
        secret = read_secret_hex(places.key(arguments.role))
        if arguments.action == "enact":
            return desk.enact(secret)
        return desk.announce(secret) if arguments.action == "announce" else desk.approve(secret, arguments.role)


def _end(rpc: Rpc, at: OnChain, secret: bytes, person: EnrolledPerson) -> int:
    call = crews.end_member(at.contracts["crews"], alias=person.alias)
    Sender(rpc).send(secret, call, purpose=f"end {person.says}")
    print(f"{person.says}: ended; what was signed before stands, a new phone makes a new key and a new alias")
    return 0


@dataclass(frozen=True, slots=True)
class _Desk:
    rpc: Rpc
    at: OnChain
    missing: Sequence[Change]  # by one's own files
    waiting: Sequence[WaitingBatch]

    def show(self) -> int:
        for change in self._not_announced():
            print(f"not on the chain: {change.says}")
        for batch in self.waiting:
            print(self._says(batch))
        if not self.missing and not self.waiting:
            print("nothing to do: the chain has the firms, people and labels of your files, and no batch waits")
        return 0

    def announce(self, secret: bytes) -> int:
        changes = self._not_announced()
        if not changes:
            print("nothing to announce: what your files give is on the chain, or waits in a batch")
            return 0
        announced = announce(Sender(self.rpc), self.at.registry, secret, changes)
        for change in changes:
            print(f"announced: {change.says}")
        numbers = ", ".join(str(number) for number, _ in announced)
        print(f"batch {numbers}: waits for the other party's `minglou provision changes approve`")
        return 0

    def approve(self, secret: bytes, role: str) -> int:
        """Batches of the other party's, each only if all of its calls are what one's own files give."""
        others = [one for one in self.waiting if one.effective_at == 0 and one.parties != _PARTIES.get(role)]
        if not others:
            print("nothing to approve: no batch of the other party waits")
            return 1
        expected = {change.call: change.says for change in self.missing}
        for batch in others:
            check_calls(batch, expected)
        approve(Sender(self.rpc), self.at.registry, secret, [batch.number for batch in others])
        for batch in others:
            for call in batch.calls:
                print(f"approved: {expected[call]}")
        print(f"batch {', '.join(str(batch.number) for batch in others)}: its delay runs; see `changes show`")
        return 0

    def enact(self, secret: bytes) -> int:
        """In the order in which they were announced, so that a firm comes before its people."""
        now = int(self.rpc.call("eth_getBlockByNumber", ["latest", False])["timestamp"], 16)
        due = [batch for batch in self.waiting if batch.effective_at and batch.effective_at <= now]
        for batch in due:
            enact(Sender(self.rpc), self.at.registry, secret, batch.number, batch.calls)
            print(f"enacted: batch {batch.number} of {len(batch.calls)} calls")
        for batch in self.waiting:
            if batch not in due:
                print(self._says(batch))
        if not due:
            raise ChainSetupError("nothing was enacted: no batch is approved and over its delay; see `changes show`")
        return 0

    def _not_announced(self) -> list[Change]:
        announced = {call for batch in self.waiting for call in _standing(batch)}
        return [change for change in self.missing if change.call not in announced]

    def _says(self, batch: WaitingBatch) -> str:
        says = f"batch {batch.number} of {PARTIES[batch.parties]}, {len(batch.calls)} calls"
        known = {change.call: change.says for change in self.missing}
        calls = "".join(f"\n  {known.get(call, _unknown(call))}" for call in batch.calls)
        if batch.effective_at == 0:
            return f"{says}: waits for the other party{calls}"
        return (
            f"{says}: may be enacted from {datetime.fromtimestamp(batch.effective_at, UTC):%Y-%m-%d %H:%M} UTC{calls}"
        )


def _standing(batch: WaitingBatch) -> Collection[Call]:
    """The calls that nobody vetoed."""
    return [call for place, call in enumerate(batch.calls) if not batch.vetoed >> place & 1]


def _unknown(call: Call) -> str:
    return f"not of your files: {call.to} 0x{call.data[:4].hex()}…"
