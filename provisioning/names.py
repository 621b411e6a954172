"""What of a site must not be guessable: aliases of units and pools, random ends of URNs, MQTT passwords, labels' codes.

The site file is handed around; these names are made at the first apply, kept in one 0600 file and never change.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from contracts.label import CODE_BYTES, PLACE_NAMES, Place, new_code
from provisioning.errors import KeyFileError
from provisioning.files import write_private
from provisioning.keys import private_mode
from provisioning.site import Device, Site

__all__ = ["SecretNames", "complete_names", "device_key", "read_names", "write_names"]

RandomBytes = Callable[[int], bytes]
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"  # RFC 4648 table 3, lower case
_FORMAT = "minglou-names/1"
_ON_DISPLAY = PLACE_NAMES[Place.DISPLAY]
_PRINTED = 2  # one to stick, one for the drawer


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretNames:
    """The random names of one site; all hex or base32 text."""

    site_id: str  # 32 bytes hex: SHA-256 of host/site
    units: dict[str, str]  # unit name -> alias, 32 bytes hex
    pools: dict[str, str]  # pool name -> alias, 32 bytes hex
    suffixes: dict[str, str]  # building:kind:name of a unit's meter, or of a spare one, -> 16 base32 characters
    passwords: dict[str, str]  # MQTT user name -> password
    letters: dict[str, str]  # unit name -> code of the activation letter, 32 bytes hex
    labels: dict[str, dict[str, list[str]]] = field(default_factory=dict)  # building:kind:name -> place -> codes

    def urn(self, site: Site, device: Device) -> str:
        """The device's URN with its random end, if it counts for a unit."""
        return site.device_urn(device, self.suffixes.get(device_key(device)))

    def device(self, site: Site, device: Device) -> bytes:
        """The device id that entries carry: SHA-256 of the URN."""
        return sha256(self.urn(site, device).encode()).digest()


def device_key(device: Device) -> str:
    """How the names file refers to a device."""
    return f"{device.building}:{device.kind}:{device.name}"


def complete_names(
    site: Site, known: SecretNames | None, random_bytes: RandomBytes = secrets.token_bytes
) -> SecretNames:
    """The known names, with new ones for what the site file has added; nothing that exists ever changes."""
    old = known or SecretNames(site_id="", units={}, pools={}, suffixes={}, passwords={}, letters={})
    users = ["gateway", "homeassistant", *(device.username for device in site.devices if device.username)]
    flats = [device_key(device) for device in site.devices if device.unit or device.spare]
    return SecretNames(
        site_id=sha256(f"{site.host}/{site.name}".encode()).hexdigest(),
        units=old.units | {unit.name: random_bytes(32).hex() for unit in site.units if unit.name not in old.units},
        pools=old.pools | {pool.name: random_bytes(32).hex() for pool in site.pools if pool.name not in old.pools},
        suffixes=old.suffixes | {key: _base32(random_bytes(16)) for key in flats if key not in old.suffixes},
        passwords=old.passwords | {user: random_bytes(18).hex() for user in users if user not in old.passwords},
        letters=old.letters
        | {unit.name: random_bytes(32).hex() for unit in site.units if unit.name not in old.letters},
        labels=_labels(site, old.labels, random_bytes),
    )


def _labels(
    site: Site, known: dict[str, dict[str, list[str]]], random_bytes: RandomBytes
) -> dict[str, dict[str, list[str]]]:
    """The codes of every place that carries one; of printed ones a spare each, for the day when one is torn off."""
    found = dict(known)
    for device in site.devices:
        held = found.get(device_key(device), {})
        made = {place: held.get(place) or _codes(place, random_bytes) for place in device.labels}
        if made:
            found[device_key(device)] = held | made
    return found


def _codes(place: str, random_bytes: RandomBytes) -> list[str]:
    return [new_code(random_bytes(CODE_BYTES)) for _ in range(1 if place == _ON_DISPLAY else _PRINTED)]


def read_names(path: Path) -> SecretNames | None:
    """The names in the file; None when there is no file yet.

    Raises:
        KeyFileError: others may read the file, or it is damaged.
    """
    if not path.exists():
        return None
    private_mode(path)
    try:
        document = json.loads(path.read_text())
        if document.pop("format") != _FORMAT:
            raise ValueError("another format")
        return SecretNames(**document)
    except (ValueError, TypeError, KeyError) as error:
        raise KeyFileError(
            f"{path}: is damaged ({error}); restore it from a backup, for new aliases would orphan every bill"
        ) from error


def write_names(path: Path, names: SecretNames) -> None:
    """Keep the names, readable by their owner alone."""
    document = {
        "format": _FORMAT,
        "site_id": names.site_id,
        "units": names.units,
        "pools": names.pools,
        "suffixes": names.suffixes,
        "passwords": names.passwords,
        "letters": names.letters,
        "labels": names.labels,
    }
    write_private(path, json.dumps(document, indent=1).encode() + b"\n")


def _base32(random: bytes) -> str:
    return "".join(_BASE32[byte & 31] for byte in random)
