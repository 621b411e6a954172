"""Making a demo directory: keys, names, settings, contracts, and a site that both parties confirmed."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from importlib.resources import files

from provisioning.account import ChainAccount
from provisioning.crews import EnrolledFirm
from provisioning.demo.chain_setup import ACCOUNTS, SetupClock, SiteOnChain, fund_accounts
from provisioning.demo.commands import run_command
from provisioning.demo.crew import FIRM, FIRM_NUMBER, LICENCE_SECONDS, enrolled_people
from provisioning.demo.processes import has_bluetooth, minglou
from provisioning.demo.programs import chromium_program, mosquitto_program
from provisioning.demo.witnesses import QUORUM, named_witnesses, prepare_witnesses
from provisioning.demo.writing import owner_keys, write_passwords
from provisioning.enrolment import GatewayIdentity, check_claim, claims_file, parse_identity
from provisioning.files import write_private, write_text
from provisioning.keys import ensure_chain_key, ensure_ed25519_key
from provisioning.names import SecretNames, complete_names, read_names, write_names
from provisioning.registration import Enrolled
from provisioning.rpc import Rpc, Sender
from provisioning.settings import Places, Ports
from provisioning.site import Site, read_site

__all__ = ["PADDED_UNIT", "UNCONFIRMED_UNIT", "Preparation", "clear_unfinished", "left_out_lines"]

PADDED_UNIT = "b07-0501"  # whose bill the demo's operator pads
UNCONFIRMED_UNIT = "b07-1202"  # whose owner has not confirmed the meter: its line says so
_OWN_NAMES = (
    "bluetooth",
    "broker",
    "building",
    "chain",
    "cloud",
    "gateway",
    "keys",
    "mirror",
    "passwords",
    "logs",
    "names.json",
    "site.toml",
    "trust.json",
    "evidence",
    "visits",
    "witnesses",
    "monitor",
    "draft.json",
)


def clear_unfinished(places: Places) -> None:
    """Remove what an interrupted preparation left; nothing else in the directory is touched."""
    for name in _OWN_NAMES:
        path = places.root / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def left_out_lines(*, with_browser: bool) -> list[str]:
    """What this machine lacks, one line each."""
    lines = []
    if mosquitto_program() is None:
        lines.append(
            "mosquitto is not installed: the NATS server's MQTT listener is the broker instead (apt install mosquitto)"
        )
    if not has_bluetooth():
        lines.append(
            "left out: the two Bluetooth water meters, since dbus-daemon or bluezoo is missing "
            "(apt install dbus, make install)"
        )
    if with_browser and chromium_program() is None:
        lines.append(
            "left out: the owners' browser, and with it the dispute: chromium is missing (apt install chromium)"
        )
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """The steps of the set-up, each named on the page. The chain runs and is mined by `miner` meanwhile."""

    places: Places
    ports: Ports
    challenge_seconds: int

    def names_and_keys(self) -> tuple[Site, SecretNames]:
        """The site file, the random names, every key, and the settings that need no clock."""
        places = self.places
        write_text(places.site_file, (files("provisioning.demo") / "site.toml").read_text("utf-8"))
        site = read_site(places.site_file)
        names = complete_names(site, read_names(places.names_file))
        write_names(places.names_file, names)
        ensure_ed25519_key(places.keys / "superlog.pem")
        prepare_witnesses(site, places, self.ports)
        write_passwords(site, names, places, self.ports)
        return site, names

    async def contracts(self, site: Site, names: SecretNames) -> dict[str, str]:
        """Deploy with `minglou chain deploy`; the addresses by contract."""
        places = self.places
        rpc = f"http://127.0.0.1:{self.ports.chain}"
        with closing(Rpc(rpc)) as asked:
            addresses = await asyncio.to_thread(fund_accounts, asked, places)
        options = deploy_options(
            site,
            names,
            addresses,
            super_log_key=ensure_ed25519_key(places.keys / "superlog.pem"),
            challenge_seconds=self.challenge_seconds,
        )
        write_text(places.chain / "deploy.json", json.dumps(options, indent=1) + "\n")
        await run_command(
            minglou(
                "chain",
                "deploy",
                "--rpc",
                rpc,
                "--key-file",
                str(places.key("deployer")),
                "--out",
                str(places.deployment_file),
                "--options",
                str(places.chain / "deploy.json"),
                "--trust",
                str(places.trust_file),
                "--super-log-origin",
                site.super_log_origin,
                "--super-log-key",
                str(places.keys / "superlog.pem"),
                "--quorum",
                str(QUORUM),
                *(word for one in named_witnesses(places, self.ports) for word in ("--witness", one.vkey)),
            ),
            directory=places.root,
            seconds=240.0,  # after a change of the contracts they are compiled first
        )
        contracts: dict[str, str] = json.loads(places.deployment_file.read_text())["contracts"]
        return contracts

    async def identity(self, site: Site) -> GatewayIdentity:
        """The gateway makes its key and shows its claim; the installer has read the code from its screen."""
        outcome = await run_command(
            minglou("edge", "identity", "--config", str(self.places.gateway / "edge.toml")), directory=self.places.root
        )
        identity = parse_identity(outcome.stdout)
        check_claim(identity, site, identity.claim_code)
        write_private(self.places.cloud / "claims.json", claims_file([identity]).encode())
        return identity

    def site_on_chain(
        self,
        site: Site,
        names: SecretNames,
        contracts: dict[str, str],
        identity: GatewayIdentity,
        clock: SetupClock,
        opening: date,
    ) -> SiteOnChain:
        """The set-up calls of this site, ready to be sent."""
        rpc = Rpc(f"http://127.0.0.1:{self.ports.chain}")
        addresses = {role: ChainAccount(ensure_chain_key(self.places.key(role))).address for role in ACCOUNTS}
        licence_until = int(datetime.combine(opening, time(), UTC).timestamp()) + LICENCE_SECONDS
        enrolled = Enrolled(
            operator=addresses["operator"],
            registrar=addresses["registrar"],
            gateways={identity.origin: identity},
            owners=owner_keys(site, self.places),
            from_date=opening,
            firms=(EnrolledFirm(number=FIRM_NUMBER, name=FIRM.en, licence_until=licence_until),),
            people=enrolled_people(self.places, licence_until),
        )
        return SiteOnChain(
            site=site,
            names=names,
            places=self.places,
            sender=Sender(rpc),
            contracts=contracts,
            addresses=addresses,
            enrolled=enrolled,
            clock=clock,
            unconfirmed_units=frozenset({UNCONFIRMED_UNIT}),
        )


def deploy_options(
    site: Site, names: SecretNames, addresses: Mapping[str, str], *, super_log_key: bytes, challenge_seconds: int
) -> dict[str, object]:
    """Constructor arguments for `minglou chain deploy`. Delays are the production ones; only the windows after a bill
    are short, and that is stated openly: a demo cannot wait seven days for a dispute."""
    return {
        "site": names.site_id,
        "token": {"name": "Demo yuan", "symbol": "DCNY", "minter": addresses["cashier"]},
        "manager": addresses["manager"],
        "committee": addresses["committee"],
        "relayer": addresses["relayer"],
        "witness_delay": 7 * 86_400,
        "recovery_delay": 30 * 86_400,
        "tariff_delay": 30 * 86_400,
        "challenge_window": challenge_seconds,
        "answer_window": challenge_seconds,
        "bond_floor": 100_000,
        "deposit": 100,
        "utc_offset_seconds": 8 * 3600,
        "super_log_key": super_log_key.hex(),
    }
