"""The site file: one compound's buildings, units, devices, tariffs and gateways, as one strict TOML document."""

from provisioning.site.model import (
    Broker,
    Building,
    Bus,
    Device,
    Firm,
    Gateway,
    Pool,
    Site,
    Tariff,
    Tier,
    Title,
    Unit,
)
from provisioning.site.parser import parse_site, read_site

__all__ = [
    "Broker",
    "Building",
    "Bus",
    "Device",
    "Firm",
    "Gateway",
    "Pool",
    "Site",
    "Tariff",
    "Tier",
    "Title",
    "Unit",
    "parse_site",
    "read_site",
]
