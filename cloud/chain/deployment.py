"""deployment.json: where on which chain a site's contracts live."""

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud.errors import SettingsError

__all__ = ["CONTRACTS", "Deployment", "read_deployment", "wait_for_deployment", "write_deployment"]

FORMAT = "minglou-deployment/1"
CONTRACTS = {
    "registry": "Registry",
    "roll": "Roll",
    "crews": "Crews",
    "labels": "Labels",
    "bindings": "Bindings",
    "token": "Token",
    "anchor_log": "AnchorLog",
    "tariffs": "Tariffs",
    "charges": "Charges",
    "usage_fees": "UsageFees",
    "challenges": "Challenges",
    "resolutions": "Resolutions",
    "ballots": "Ballots",
    "assembly": "Assembly",
    "reserve_fund": "ReserveFund",
    "work_orders": "WorkOrders",
    "counterevidence": "Counterevidence",
    "service_agreements": "ServiceAgreements",
}
"""A contract's name in the Registry's directory, and its source; in the order in which they are deployed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Addresses in lower case, `0x…`."""

    chain_id: int
    from_block: int  # the first block that holds one of them
    registry: str
    roll: str
    crews: str
    bindings: str
    anchor_log: str
    tariffs: str
    charges: str
    usage_fees: str
    challenges: str
    token: str
    site: bytes
    # Empty where a site does without them.
    labels: str = ""
    resolutions: str = ""
    ballots: str = ""
    assembly: str = ""
    reserve_fund: str = ""
    work_orders: str = ""
    counterevidence: str = ""
    service_agreements: str = ""

    @property
    def addresses(self) -> dict[str, str]:
        """Contract name by address: whose events the follower reads."""
        return {getattr(self, name): name for name in CONTRACTS if getattr(self, name)}


def write_deployment(path: Path, deployment: Deployment) -> None:
    """Write the file in one step, so that a reader never sees half of it."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "chain_id": str(deployment.chain_id),
        "from_block": str(deployment.from_block),
        "site": deployment.site.hex(),
        "contracts": {name: address for address, name in deployment.addresses.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(path.suffix + ".part")
    part.write_text(json.dumps(document, indent=1) + "\n")
    part.replace(path)


def read_deployment(path: Path) -> Deployment:
    """The deployment in a file. Raises `SettingsError`."""
    try:
        document = json.loads(path.read_text())
        if document["format"] != FORMAT:
            raise SettingsError(
                f"{path}: format is {document['format']!r}, not {FORMAT}; deploy again with this program"
            )
        return Deployment(
            chain_id=int(document["chain_id"]),
            from_block=int(document["from_block"]),
            site=bytes.fromhex(document["site"]),
            **{name: str(address).lower() for name, address in document["contracts"].items() if name in CONTRACTS},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{path} is no deployment ({error!r}); write it with `minglou chain deploy --out {path}`"
        ) from error


async def wait_for_deployment(path: Path, *, seconds: float) -> Deployment:
    """As `read_deployment`, waiting for the file to appear: the site may be being deployed right now."""
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(path.exists) and time.monotonic() < deadline:  # noqa: ASYNC110 - a file offers no event
        await asyncio.sleep(0.2)
    return read_deployment(path)
