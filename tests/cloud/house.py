"""A cloud without a chain, in process: two flats, their pages over ASGI, and a clock that tests turn."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from cloud.app import build_app
from cloud.identity.roles import Role
from cloud.service import Cloud, open_cloud
from cloud.settings import load_settings
from contracts.entry import device_id
from contracts.superlog import WitnessPolicy
from contracts.trust import format_trust
from tests.cloud.authenticator import Phone
from tests.vectors.deployment import TRUST

ORIGIN = "http://localhost:8600"
START_MS = 1_795_744_800_000
UNITS = ("b07-0501", "b07-0502")
METER_ORIGIN = "demo.minglou.example/cuiyuan/b07/e0"


def alias_of(unit: str) -> bytes:
    return sha256(b"alias " + unit.encode()).digest()


def urn_of(unit: str) -> str:
    return f"urn:minglou:cuiyuan:b07:meter:{unit}"


def directory(links: Sequence[tuple[str, str, bytes]] = (), units: Sequence[str] = UNITS) -> dict[str, Any]:
    """Two flats with a meter each, a lift; `links`: (role, unit or "", token) of the demo's one-time links."""
    words = {"zh": "翠苑", "en": "Cuiyuan"}
    return {
        "format": "minglou-directory/1",
        "site": {"name": "cuiyuan", "host": "demo.minglou.example", "title": words, "timezone": "Asia/Shanghai"},
        "gateways": [],
        "units": [
            {"index": at, "name": unit, "building": "b07", "floor": 5, "alias": alias_of(unit).hex(),
             "area_centi_m2": 8_900, "title": {"zh": f"7幢 {unit[-4:]}", "en": f"Flat {unit[-4:]}"}}
            for at, unit in enumerate(units)
        ],
        "devices": [
            *({"urn": urn_of(unit), "device": device_id(urn_of(unit)).hex(), "kind": "meter", "origin": METER_ORIGIN,
               "floor": 5, "title": words, "quantity": "1-0:1.8.0", "counts_for": {"unit": alias_of(unit).hex()},
               "tariff": "flat", "name": unit} for unit in units),
            {"urn": "urn:minglou:cuiyuan:b07:lift:1", "device": "", "kind": "lift", "origin": METER_ORIGIN,
             "floor": None, "title": words, "name": "b07-l1"},
        ],
        "pools": [],
        "tariffs": [],
        "sign_in": [
            {"role": role, "unit": alias_of(unit).hex() if unit else None, "title": words,
             "token_sha256": sha256(token).hexdigest()}
            for role, unit, token in links
        ],
    }  # fmt: skip


@dataclass
class Hands:
    """A clock that tests turn."""

    at_ms: int = START_MS

    def now_ms(self) -> int:
        return self.at_ms

    def real_ms_until(self, at_ms: int) -> int:
        return max(0, at_ms - self.at_ms)


@dataclass
class House:
    """The open cloud and its pages."""

    cloud: Cloud
    app: FastAPI
    clock: Hands
    _clients: list[httpx.AsyncClient] = field(default_factory=list)

    def browser(self, *, peer: str | None = None) -> httpx.AsyncClient:
        """Somebody's browser: its own cookies, our own page's Origin, an address of its own on this machine."""
        address = peer or f"127.0.0.{1 + len(self._clients)}"
        transport = httpx.ASGITransport(app=self.app, client=(address, 50_000))
        headers = {"origin": ORIGIN, "accept-language": "en"}
        client = httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers)
        self._clients.append(client)
        return client

    async def letter(self, role: Role, unit: str | None = None, firm: str | None = None) -> str:
        """A code, as the machine's own command writes one."""
        alias = alias_of(unit) if unit else None
        made = await self.cloud.identity.invite(None, role, unit=alias, firm=firm, now_ms=self.clock.at_ms)
        return made.code

    async def member(self, role: Role, unit: str | None = None, firm: str | None = None) -> httpx.AsyncClient:
        """Somebody who joined with a letter and a passkey, in their browser."""
        browser, phone = self.browser(), Phone(ORIGIN)
        answer = await join(browser, phone, await self.letter(role, unit, firm))
        assert answer.status_code == 200, answer.text
        return browser


async def join(browser: httpx.AsyncClient, phone: Phone, code: str) -> httpx.Response:
    """Both halves of joining; the answer to the first that is refused."""
    begun = await browser.post("/join/begin", json={"code": code})
    if begun.status_code != 200:
        return begun
    return await browser.post("/join", json={"code": code, "credential": phone.create(begun.json())})


async def sign_in(browser: httpx.AsyncClient, phone: Phone) -> httpx.Response:
    """Both halves of signing in."""
    begun = await browser.post("/signin/passkey/begin", json={})
    return await browser.post("/signin/passkey", json={"credential": phone.get(begun.json())})


@asynccontextmanager
async def house(
    folder: Path,
    *,
    store_url: str | None = None,
    links: Sequence[tuple[str, str, bytes]] = (),
    public_url: str = ORIGIN,
    of_cloud: str = "",
    more: str = "",
) -> AsyncIterator[House]:
    """A cloud without a chain and without workers, until the block ends; `of_cloud` and `more` go into its settings."""
    _write_settings(folder, store_url, links, public_url, of_cloud=of_cloud, more=more)
    clock = Hands()
    settings = replace(load_settings(folder / "cloud.toml"), clock=clock)
    async with open_cloud(settings) as cloud:
        opened = House(cloud, build_app(cloud), clock)
        try:
            yield opened
        finally:
            for client in opened._clients:
                await client.aclose()


def _write_settings(
    folder: Path,
    store_url: str | None,
    links: Sequence[tuple[str, str, bytes]],
    public_url: str,
    *,
    of_cloud: str,
    more: str,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "directory.json").write_text(json.dumps(directory(links)))
    (folder / "trust.json").write_bytes(format_trust(replace(TRUST, witness_policy=WitnessPolicy())))
    store = f'[store]\nurl = "{store_url}"\n' if store_url else ""
    (folder / "cloud.toml").write_text(
        f'[cloud]\nlisten = "127.0.0.1:8600"\npublic_url = "{public_url}"\ndata_dir = "data"\n'
        f'directory_file = "directory.json"\ntrust_file = "trust.json"\n{of_cloud}[super_log]\n'
        f'origin = "demo.minglou.example/log"\n{store}{more}'
    )
