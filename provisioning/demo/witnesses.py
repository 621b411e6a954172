"""The demo's three witnesses, as three parties would run them: committee and regulator honest, the volunteer bribed.

Each has its own directory, key and process. Two of three must cosign; the bribed one signs whatever it is shown.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from cloud.witness import load_witness_settings, open_witness
from contracts import ed25519
from contracts.note import ED25519, VerifierKey, format_vkey
from provisioning.demo.processes import answers_with, minglou
from provisioning.demo.supervisor import Program
from provisioning.files import write_text
from provisioning.settings import Places, Ports
from provisioning.settings.cloud import NamedWitness
from provisioning.site import Site
from provisioning.toml_text import toml_document

__all__ = ["PARTIES", "QUORUM", "Party", "named_witnesses", "prepare_witnesses", "witness_programs"]

QUORUM = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Who runs a witness."""

    name: str
    colludes: bool = False

    @property
    def process(self) -> str:
        """The name of its process."""
        return f"witness-{self.name}"

    def port(self, ports: Ports) -> int:
        """Where it listens."""
        return int(getattr(ports, f"{self.name}_witness"))

    def url(self, ports: Ports) -> str:
        """Its submission prefix."""
        return f"http://127.0.0.1:{self.port(ports)}"


PARTIES = (Party(name="committee"), Party(name="volunteer", colludes=True), Party(name="regulator"))


def prepare_witnesses(site: Site, places: Places, ports: Ports) -> None:
    """Settings, keys and empty memories; each key is made by its party's own program's code."""
    public = ed25519.public_bytes(ed25519.load_pem((places.keys / "superlog.pem").read_bytes()))
    log = VerifierKey(name=site.super_log_origin, signature_type=ED25519, public=public)
    for party in PARTIES:
        home = places.witness(party.name)
        text = toml_document(
            f"The witness of the {party.name}.",
            [
                (
                    "witness",
                    {
                        "name": f"{party.name}.{site.host}/witness",
                        "listen": f"127.0.0.1:{party.port(ports)}",
                        "key_file": str(home / "witness.pem"),
                        "state_file": str(home / "witness.sqlite3"),
                        "requests_per_second": 1000.0,
                    },
                ),
                ("[log]", {"vkey": format_vkey(log)}),
            ],
        )
        write_text(home / "witness.toml", text)
        open_witness(load_witness_settings(home / "witness.toml"))


def named_witnesses(places: Places, ports: Ports) -> tuple[NamedWitness, ...]:
    """Each witness as the cloud's settings name it; none before they are prepared."""
    return tuple(
        NamedWitness(
            vkey=open_witness(load_witness_settings(places.witness(party.name) / "witness.toml")).vkey,
            url=party.url(ports),
        )
        for party in PARTIES
        if (places.witness(party.name) / "witness.toml").exists()
    )


def witness_programs(places: Places, ports: Ports) -> Sequence[Program]:
    """The three processes."""
    return [_program(party, places, ports) for party in PARTIES]


def _program(party: Party, places: Places, ports: Ports) -> Program:
    config = str(places.witness(party.name) / "witness.toml")
    bribed = (sys.executable, "-m", "provisioning.demo.colluder", "--config", config)
    return Program(
        name=party.process,
        command=bribed if party.colludes else minglou("witness", "run", "--config", config),
        directory=places.witness(party.name),
        log=places.logs / f"{party.process}.log",
        is_ready=answers_with(f"{party.url(ports)}/", b"vkey" if party.colludes else b"minglou witness"),
        ready_seconds=90.0,
    )
