"""One-time sign-in links: one per role and start; an owner's carries the activation letter's key in its fragment."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from hashlib import sha256

from provisioning.keys import ensure_person_seed
from provisioning.names import SecretNames
from provisioning.settings import Places, Ports
from provisioning.settings.cloud import SignIn
from provisioning.site import Site, Title

__all__ = ["Door", "make_doors"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One link for one role. What follows `#` never leaves the browser."""

    role: str
    unit: str  # unit name, empty for roles without one
    title: Title
    link: str
    sign_in: SignIn


def make_doors(
    site: Site, names: SecretNames, places: Places, ports: Ports, *, units: tuple[str, ...]
) -> tuple[Door, ...]:
    """Fresh links for the manager, the committee, the crew and the owners of `units`."""
    doors = [
        _door(ports, role="manager", title=Title(zh="物业", en="Property manager")),
        _door(ports, role="committee", title=Title(zh="业委会", en="Owners' committee")),
        _door(ports, role="crew", title=Title(zh="维保人员", en="Maintenance crew")),
    ]
    for unit in site.units:
        if unit.name in units:
            seed = ensure_person_seed(places.owners / f"{unit.name}.seed")
            title = Title(zh=f"{unit.name} 业主 {unit.owner}", en=f"Owner of {unit.name}")
            doors.append(
                _door(ports, role="owner", title=title, unit=unit.name, alias=names.units[unit.name], seed=seed)
            )
    return tuple(doors)


def _door(
    ports: Ports, *, role: str, title: Title, unit: str = "", alias: str | None = None, seed: bytes = b""
) -> Door:
    token = secrets.token_bytes(32)
    key = f"&k={_base64url(seed)}" if seed else ""
    return Door(
        role=role,
        unit=unit,
        title=title,
        link=f"http://localhost:{ports.cloud}/signin#t={_base64url(token)}{key}",
        sign_in=SignIn(role=role, unit=alias, title=title, token_sha256=sha256(token).hexdigest()),
    )


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
