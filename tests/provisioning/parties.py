"""Manager and committee, each with an own directory and key, as `minglou provision changes` is run by each of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from minglou import main
from provisioning.files import write_private, write_text
from provisioning.settings import Places
from tests.provisioning.conftest import DEMO

LICENCE_UNTIL = "2098-12-31"
FIRM_LICENCE = f'registered = "Anxing Lift Service 91330106"\nlicence_until = {LICENCE_UNTIL}\n'


@dataclass(frozen=True, kw_only=True)
class Party:
    """One of the two, at a keyboard."""

    role: str
    folder: Path
    rpc: str

    @property
    def site_file(self) -> Path:
        return self.folder / "own-site.toml"

    def add(self, key_file: Path, says: str, *, firm: int = 1, duty: str = "mechanic") -> int:
        """`crew add` of a phone's file."""
        words = ["--says", says, "--firm", str(firm), "--duty", duty, "--licence-until", LICENCE_UNTIL]
        return self._run("crew", "add", str(key_file), str(self.site_file), *words)

    def changes(self, action: str, *more: str) -> int:
        """`changes ACTION`."""
        return self._run("changes", action, str(self.site_file), "--rpc", self.rpc, *more)

    def _run(self, *words: str) -> int:
        return main(["provision", *words, "--dir", str(self.folder)])


def open_party(folder: Path, *, role: str, secret: bytes, rpc: str, deployment: str, site: str | None = None) -> Party:
    """A party's directory with its key, its own copy of the site file and of the deployment."""
    party, places = Party(role=role, folder=folder, rpc=rpc), Places(folder)
    text = DEMO.read_text("utf-8").replace('telephone = "0571 8800 0000"\n', FIRM_LICENCE) if site is None else site
    write_text(party.site_file, text)
    write_private(places.key(role), secret.hex().encode() + b"\n")
    write_text(places.deployment_file, deployment)
    return party


def deployment_text(contracts: dict[str, str], *, from_block: int) -> str:
    """What `minglou chain deploy` writes."""
    return json.dumps(
        {"format": "minglou-deployment/1", "chain_id": "31337", "from_block": str(from_block), "site": "00" * 32,
         "contracts": contracts}
    )  # fmt: skip


def said(capsys: pytest.CaptureFixture[str]) -> Sequence[str]:
    """The lines since the last look; errors too."""
    told = capsys.readouterr()
    return (told.out + told.err).splitlines()
