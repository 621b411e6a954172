"""What a site file still needs on this machine, as steps that can be read before they are done, and done only once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from provisioning.cards import cards_text, read_cards
from provisioning.files import write_private, write_text
from provisioning.keys import ensure_chain_key, ensure_ed25519_key, ensure_person_seed
from provisioning.names import complete_names, read_names, write_names
from provisioning.settings import (
    Places,
    Ports,
    cards_path,
    cloud_file,
    gateway_file,
    knows_cards,
    maintenance_contract,
    operator_file,
)
from provisioning.site import Site

__all__ = ["ROLES", "Step", "apply_steps", "plan_site"]

ROLES = ("manager", "committee", "operator", "registrar", "relayer", "cashier")
_PORTS = Ports(chain=8545, cloud=8600, control=8601, status=8611, endpoint=8612, broker=1883)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to make or to change."""

    says: str
    is_new: bool
    do: Callable[[], object]


def plan_site(site: Site, text: str, places: Places) -> list[Step]:
    """The steps from what is in `places` to what the site file says; empty when there is nothing to do.

    Args:
        text: the site file itself, of which a copy is kept.

    Raises:
        KeyFileError: the file of names or of cards that is there is damaged or readable by others.
    """
    known = read_names(places.names_file)
    names = complete_names(site, known)
    steps = [
        *_key_steps(site, places),
        *_private_steps(names.passwords, places),
        *_text_steps({places.site_file: text}),
    ]
    if names != known:
        new = len(names.units) - (len(known.units) if known else 0)
        steps.insert(
            0,
            Step(
                says=f"{places.names_file}: names of {new} more units, not to be guessed",
                is_new=known is None,
                do=lambda: write_names(places.names_file, names),
            ),
        )
    maintenance, cards = maintenance_contract(places), read_cards(places.cards_file)
    has_cards = places.cards_file.exists()  # also when the last one was taken away: the gateway must learn that
    settings = {
        places.cloud / "cloud.toml": cloud_file(
            site, places=places, ports=_PORTS, clock=None, anchor_seconds=600.0, maintenance=maintenance
        ),
        places.cloud / "operator.toml": operator_file(site, places=places, ports=_PORTS, clock=None),
    }
    for gateway in site.gateways:
        settings[places.gateway / f"{gateway.log}.toml"] = gateway_file(
            site,
            names,
            gateway,
            places=places,
            ports=_PORTS,
            clock=None,
            cloud_url=f"https://{site.host}",
            bus_ports={},
            broker_urls={},
            with_bluetooth=True,
            maintenance=maintenance,
            with_cards=has_cards,
        )
    return [*steps, *(_card_steps(site, places, cards) if has_cards else ()), *_text_steps(settings)]


def apply_steps(steps: Sequence[Step]) -> None:
    """Do the steps in order."""
    for step in steps:
        step.do()


def _key_steps(site: Site, places: Places) -> list[Step]:
    steps = []
    for role in ROLES:
        path = places.key(role)
        if not path.exists():
            steps.append(
                Step(says=f"{path}: a new key for the {role}", is_new=True, do=partial(ensure_chain_key, path))
            )
    super_log = places.keys / "superlog.pem"
    if not super_log.exists():
        steps.append(
            Step(
                says=f"{super_log}: a new key for the super-log", is_new=True, do=lambda: ensure_ed25519_key(super_log)
            )
        )
    for unit in site.units:
        path = places.owners / f"{unit.name}.seed"
        if not path.exists():
            steps.append(
                Step(
                    says=f"{path}: a key for the activation letter",
                    is_new=True,
                    do=partial(ensure_person_seed, path),
                )
            )
    return steps


def _private_steps(passwords: dict[str, str], places: Places) -> list[Step]:
    return [
        Step(
            says=f"{places.password(user)}: a password",
            is_new=True,
            do=partial(write_private, places.password(user), password.encode() + b"\n"),
        )
        for user, password in passwords.items()
        if not places.password(user).exists()
    ]


def _card_steps(site: Site, places: Places, cards: Mapping[bytes, str]) -> list[Step]:
    """Whose card opens machine rooms, for each gateway that has such a door. Never says a card."""
    text = cards_text(cards).encode()
    steps = []
    for gateway in site.gateways:
        path = cards_path(places, gateway)
        if knows_cards(site, gateway) and (not path.exists() or path.read_bytes() != text):
            says = f"{path}: the cards of {len(cards)} people; the gateway reads them when it starts"
            steps.append(Step(says=says, is_new=not path.exists(), do=partial(write_private, path, text)))
    return steps


def _text_steps(texts: dict[Path, str]) -> list[Step]:
    steps = []
    for path, text in texts.items():
        is_new = not path.exists()
        if is_new or path.read_text("utf-8") != text:
            says = f"{path}: {'written' if is_new else 'changed, for the site file has changed'}"
            steps.append(Step(says=says, is_new=is_new, do=partial(write_text, path, text)))
    return steps
