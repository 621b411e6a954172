"""Two sites served by one process: contracts of their own on one chain, one store on SQLite, one on PostgreSQL.

They are as alike as two sites can be: the same flats, the same names of gateways, the same clock.
"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from cloud.chain.deploy import trust_of, write_trust
from cloud.chain.deployment import write_deployment
from cloud.directory import DirectoryFile
from cloud.identity.identity import Identity
from cloud.identity.passkeys import Passkeys
from cloud.identity.roles import HOUSEHOLD, Role
from cloud.identity.tokens import SCOPES_OF, Tokens
from cloud.service import open_audit_log
from cloud.settings import load_settings
from cloud.store import Store
from contracts import ed25519
from contracts.batch import MEDIA_TYPE
from contracts.copy_note import CopyKeeper
from tests.cloud.authenticator import Phone
from tests.cloud.chain_site import ChainSite, secret_of
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.house import UNITS, directory
from tests.cloud.served import minglou, write_secret
from tests.processes import Program, running


@dataclass
class Tenant:
    """One of the sites: its files, its chain, its gateway, and what its people and programs hold."""

    host: str
    folder: Path
    port: int
    number: int
    gateway: SimulatedGateway
    store_url: str = ""
    chain: ChainSite | None = None
    workers: int = 1
    phones: dict[Role, Phone] = field(default_factory=dict)
    sessions: dict[Role, str] = field(default_factory=dict)
    # A connection for each request: one that is kept may be closed by the server while it is used again.
    client: httpx.Client = field(
        default_factory=lambda: httpx.Client(
            timeout=120, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
        )
    )

    @property
    def origin(self) -> str:
        """Of its pages, as browsers name it."""
        return f"http://{self.host}:{self.port}"

    @property
    def config(self) -> Path:
        return self.folder.parent / "sites" / f"{self.folder.name}.toml"

    @property
    def super_key(self) -> ed25519.PrivateKey:
        return ed25519.key_from_seed(bytes(31) + bytes([self.number]))

    @property
    def copy_token(self) -> str:
        return f"{self.number:02x}" * 32

    def ask(
        self,
        method: str,
        path: str,
        *,
        cookie: str | None = None,
        bearer: str | None = None,
        body: bytes = b"",
        headers: Sequence[tuple[str, str]] = (),
        host: str | None = None,
        origin: bool = True,
    ) -> httpx.Response:
        """One request to this site's host, as a browser on its pages or a program sends it."""
        own = [("Host", host or f"{self.host}:{self.port}"), ("Accept-Language", "en")]
        own += [("Origin", self.origin)] if origin else []
        own += [("Cookie", f"minglou_session={cookie}")] if cookie else []
        own += [("Authorization", f"Bearer {bearer}")] if bearer else []
        self.client.cookies.clear()
        return self.client.request(
            method, f"http://127.0.0.1:{self.port}{path}", headers=[*own, *headers], content=body
        )

    def send(self, gateway: SimulatedGateway, *, token: bytes | None = None) -> httpx.Response:
        """A gateway's whole log."""
        path, media = f"/v1/logs/{gateway.origin}/entries", ("Content-Type", MEDIA_TYPE)
        return self.ask("POST", path, bearer=(token or gateway.token).hex(), body=gateway.batch(), headers=[media])

    def post_json(self, path: str, document: object, *, cookie: str | None = None) -> httpx.Response:
        body = json.dumps(document).encode()
        return self.ask("POST", path, cookie=cookie, body=body, headers=[("Content-Type", "application/json")])

    def settings_text(self) -> str:
        return (
            f'[cloud]\nlisten = "127.0.0.1:{self.port}"\npublic_url = "{self.origin}"\n'
            f'hosts = ["{self.host}"]\ndata_dir = "{self.folder}/data"\nworkers = {self.workers}\n'
            f'directory_file = "{self.folder}/directory.json"\n'
            + (f'trust_file = "{self.folder}/trust.json"\n' if self.chain else "")
            + (f'[store]\nurl = "{self.store_url}"\n' if self.store_url else "")
            + (self._chain_text() if self.chain else "")
            + f'[super_log]\norigin = "{self.host}/log"\nkey_file = "{self.folder}/superlog.pem"\n'
            + "anchor_seconds = 0.3\n[mail]\nblock_seconds = 0.5\n"
            # A matrix of all routes is asked faster than anybody may ask.
            + "[limits]\nreads_per_minute = 0\nwrites_per_minute = 0\nexports_per_minute = 0\n"
            + "costly_per_minute = 0\nhashes_per_minute = 0\n"
            + f'[[copy]]\nname = "{self._keeper.name}"\nkey = "{self._keeper.public.hex()}"\n'
            + f'token_file = "{self.folder}/copy.token"\n'
        )

    def _chain_text(self) -> str:
        assert self.chain is not None
        return (
            f'[chain]\nrpc = ["{self.chain.url}"]\nchain_id = 31337\n'
            f'deployment_file = "{self.folder}/deployment.json"\nrelayer_key_file = "{self.folder}/relayer.key"\n'
            "finality_depth = 2\npoll_seconds = 0.2\n"
        )

    @property
    def _keeper(self) -> CopyKeeper:
        return CopyKeeper(name="committee", public=ed25519.public_bytes(self.super_key))

    def write(self) -> None:
        """Everything that the process reads of this site."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config.parent.mkdir(exist_ok=True)
        (self.folder / "directory.json").write_text(json.dumps(directory()))
        write_secret(self.folder / "superlog.pem", ed25519.dump_pem(self.super_key).decode())
        write_secret(self.folder / "copy.token", self.copy_token)
        if self.chain is not None:
            public = ed25519.public_bytes(self.super_key)
            write_deployment(self.folder / "deployment.json", self.chain.deployment)
            trust = trust_of(self.chain.deployment, super_log_origin=f"{self.host}/log", super_log_public=public)
            write_trust(self.folder / "trust.json", trust)
            write_secret(self.folder / "relayer.key", secret_of(self.chain.relayer))
        self.config.write_text(self.settings_text())

    def letters(self, *roles: Role) -> dict[Role, str]:
        """A code for each role, as the machine's own command writes one."""
        return asyncio.run(self._letters(roles))

    async def _letters(self, roles: Sequence[Role]) -> dict[Role, str]:
        settings = load_settings(self.config)
        store = Store(settings.store_url)
        unit = DirectoryFile(settings.directory_file).read().unit_named(UNITS[0])
        assert unit is not None
        try:
            identity = Identity(store, Passkeys(public_url=self.origin, site=""), open_audit_log(settings, store))
            now_ms = settings.clock.now_ms()
            made = {}
            for role in roles:
                alias = unit.alias if role in HOUSEHOLD else None
                made[role] = (await identity.invite(None, role, unit=alias, firm=None, now_ms=now_ms)).code
            return made
        finally:
            await store.close()

    def program_token(self) -> str:
        """A token with every scope."""
        return asyncio.run(self._program_token())

    async def _program_token(self) -> str:
        settings = load_settings(self.config)
        store = Store(settings.store_url)
        try:
            now_ms = settings.clock.now_ms()
            secret, _ = await Tokens(store).make(None, "tests", SCOPES_OF[Role.OPERATOR], days=9, now_ms=now_ms)
            return secret
        finally:
            await store.close()

    def join(self, role: Role, code: str, phone: Phone | None = None) -> httpx.Response:
        """Both halves of joining; keeps the session and the phone."""
        phone = phone or Phone(self.origin)
        begun = self.post_json("/join/begin", {"code": code})
        if begun.status_code != 200:
            return begun
        joined = self.post_json("/join", {"code": code, "credential": phone.create(begun.json())})
        if joined.status_code == 200:
            self.phones[role] = phone
            self.sessions[role] = joined.cookies["minglou_session"]
        return joined


@contextmanager
def serving_sites(folder: Path, *sites: Tenant) -> Iterator[Program]:
    """`minglou cloud serve` with all sites of a folder until the block ends; then these close their connections too."""

    def is_ready() -> bool:
        try:
            return sites[0].ask("GET", "/healthz", host="localhost").status_code == 200
        except httpx.TransportError:
            return False

    command = [minglou(), "cloud", "serve", "--sites", folder / "sites"]
    try:
        with running(command, name="cloud", output_dir=folder, ready=is_ready, seconds=60) as program:
            yield program
    finally:
        for site in sites:
            site.client.close()
