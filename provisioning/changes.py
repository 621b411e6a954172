"""What a running chain lacks of one's own site file, names and people: what is announced, and what is approved.

Each party asks this of its own copies. Firms, people and labels are compared; units, gateways, owners and bindings are
brought to fresh contracts by `site_changes`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.calls import labels
from contracts.label import PLACE_OF, label_digest
from provisioning.batches import Change
from provisioning.crews import EnrolledPerson, crew_changes, firms_of, read_crews
from provisioning.errors import ChainSetupError
from provisioning.names import SecretNames, device_key
from provisioning.registration import label_changes
from provisioning.rpc import Rpc
from provisioning.site import Site

__all__ = ["OnChain", "missing_changes", "read_deployed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnChain:
    """Where a site's contracts are."""

    chain_id: int
    from_block: int
    contracts: Mapping[str, str]  # addresses by name, in lower case

    @property
    def registry(self) -> str:
        return self.contracts["registry"]


def read_deployed(path: Path) -> OnChain:
    """The deployment in a file of `minglou chain deploy`. Raises `ChainSetupError`."""
    try:
        document = json.loads(path.read_text("utf-8"))
        found = {str(name): str(address).lower() for name, address in document["contracts"].items()}
        if not {"registry", "crews"} <= found.keys():
            raise ValueError("registry or crews is missing")
        return OnChain(chain_id=int(document["chain_id"]), from_block=int(document["from_block"]), contracts=found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ChainSetupError(
            f"{path}: is no deployment ({error!r}); `minglou chain deploy` writes it, or name it with --deployment"
        ) from error


def missing_changes(
    rpc: Rpc, at: OnChain, site: Site, names: SecretNames | None, people: Sequence[EnrolledPerson]
) -> tuple[Change, ...]:
    """What the newest block lacks of firms, people and labels. Whose licence has ended is left out.

    Args:
        names: None leaves the labels out.

    Raises:
        ChainSetupError: the endpoint is of another chain or does not answer, or a firm's number is another's there.
    """
    if int(rpc.call("eth_chainId", []), 16) != at.chain_id or at.chain_id != site.chain_id:
        raise ChainSetupError(
            f"{rpc.url}: is not chain {site.chain_id} of the site file, or the deployment (chain {at.chain_id}) is not;"
            " give the endpoint and the deployment of this site"
        )
    now = int(rpc.call("eth_getBlockByNumber", ["latest", False])["timestamp"], 16)
    firms = [firm for firm in firms_of(site) if firm.licence_until > now]
    licensed = [person for person in people if person.licence_until > now]
    crews = at.contracts["crews"]
    held = read_crews(rpc, crews, at.registry, firms, licensed)
    changes = crew_changes(firms, licensed, crews, held)
    to = at.contracts.get("labels", "")
    if names is not None and to:
        # One label a call: what waits in another batch already is then told from what is new.
        changes += label_changes(site, names, to, bound=frozenset(_bound(rpc, to, site, names)), at_once=1)
    return tuple(changes)


def _bound(rpc: Rpc, to: str, site: Site, names: SecretNames) -> Iterator[bytes]:
    """The digests that Labels holds for their device and place, in use or revoked."""
    for device in site.devices:
        for place, codes in names.labels.get(device_key(device), {}).items():
            for digest in map(label_digest, codes):
                call = labels.label(to, digest=digest, device=names.device(site, device), place=PLACE_OF[place])
                if any(labels.parse_label(rpc.view(call))):
                    yield digest
