"""Who really asks, where a proxy of ours stands in front: its word alone is believed, and only as far as it goes."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from cloud.errors import SettingsError

if TYPE_CHECKING:  # the settings are read without a web server
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["FORWARDING", "BehindProxies", "Network", "address_behind", "networks"]

FORWARDING = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
"""Headers by which a proxy says that it speaks for somebody else."""

Network = IPv4Network | IPv6Network
_FORWARDED = b"x-forwarded-for"
_HOPS_MAX = 32
_LETTERS_MAX = 2_048


def networks(names: object) -> tuple[Network, ...]:
    """Proxies as the settings name them: addresses, or networks such as 10.0.0.0/8. Raises `SettingsError`."""
    try:
        if not isinstance(names, list | tuple):
            raise TypeError("not a list")
        return tuple(ip_network(name) for name in names)
    except (ValueError, TypeError) as error:
        raise SettingsError(
            f"[cloud] trusted_proxies: {error}; write the addresses of the proxies in front of this cloud, "
            'such as ["127.0.0.1", "10.0.0.0/8"]'
        ) from error


def address_behind(peer: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """The address that the last trusted proxy saw.

    Each proxy writes down at the right end whom it heard, so what stands left of the first stranger was written by that
    stranger. What is no address, or too much of it, is not read at all.

    Args:
        peer: who holds the connection.
        forwarded: all values of X-Forwarded-For, joined by commas.
    """
    heard = _parsed(peer)
    if heard is None or not _is_trusted(heard, trusted):
        return peer
    hops = forwarded.split(",") if len(forwarded) <= _LETTERS_MAX else []
    if not 0 < len(hops) <= _HOPS_MAX:
        return peer
    for hop in reversed(hops):
        heard = _parsed(hop.strip())
        if heard is None:
            return peer
        if not _is_trusted(heard, trusted):
            break
    return str(heard)


class BehindProxies:
    """Gives a request the address of who asks, before anything else sees it."""

    def __init__(self, app: "ASGIApp", *, trusted: Sequence[Network]) -> None:
        self._app, self._trusted = app, trusted

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] == "http" and scope.get("client"):
            peer, port = scope["client"]
            address = address_behind(peer, _values(scope["headers"]), self._trusted)
            scope["client"] = (address, port if address == peer else 0)  # in place: outer parts read the route from it
        await self._app(scope, receive, send)


def _values(headers: Iterable[tuple[bytes, bytes]]) -> str:
    return ",".join(value.decode("latin-1") for name, value in headers if name == _FORWARDED)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def _is_trusted(address: IPv4Address | IPv6Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)
