"""The demo's site with names that repeat."""

from __future__ import annotations

from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest

from provisioning.names import SecretNames, complete_names
from provisioning.settings import Ports
from provisioning.site import Site, read_site

DEMO = Path("provisioning/demo/site.toml")
PORTS = Ports(chain=8545, cloud=8600, control=8601, status=8611, endpoint=8612, broker=8613)


@pytest.fixture
def site() -> Site:
    return read_site(DEMO)


@pytest.fixture
def names(site: Site) -> SecretNames:
    numbers = count()

    def repeatable(length: int) -> bytes:
        return sha256(next(numbers).to_bytes(8)).digest()[:length]

    return complete_names(site, None, repeatable)
