"""Profiles: a device family described in TOML. `load_profile` gives a frozen type or an error with line and remedy."""

from collections.abc import Callable
from pathlib import Path

from devices.bthome_profile import BthomeProfile, parse_bthome_profile
from devices.dlt645.profile import Dlt645Profile, parse_dlt645_profile
from devices.errors import ProfileError
from devices.gateway_profile import GatewayProfile, parse_gateway_profile
from devices.mqtt_profile import MqttJsonProfile, parse_mqtt_json_profile
from devices.profile_header import Header, parse_header
from devices.toml_table import Table, read_toml

Profile = Dlt645Profile | BthomeProfile | MqttJsonProfile | GatewayProfile

SHIPPED = Path(__file__).parent / "profiles"
_PARSERS: dict[str, Callable[[Table, Header], Profile]] = {
    "dlt645-2007": parse_dlt645_profile,
    "bthome": parse_bthome_profile,
    "mqtt-json": parse_mqtt_json_profile,
    "minglou-gateway": parse_gateway_profile,
}


def shipped_profiles() -> tuple[str, ...]:
    """The names of the profiles that come with Minglou."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.toml")))


def load_profile(name_or_path: str | Path) -> Profile:
    """The profile of a shipped name, or of the file at a path that ends in `.toml`.

    Raises:
        ProfileError: no such profile, or a mistake in it; the message names file, line and remedy.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        if str(name_or_path) not in shipped_profiles():
            known = ", ".join(shipped_profiles())
            raise ProfileError(
                f"profile {str(name_or_path)!r} is not shipped; write one of {known}, or a path of a .toml"
            )
        path = SHIPPED / f"{name_or_path}.toml"
    top = read_toml(path)
    protocol = top.choice("protocol", tuple(_PARSERS))
    header = parse_header(top, path.stem)
    profile = _PARSERS[protocol](top, header)
    top.finish()
    return profile
