"""A real cloud with one lift and one flat's meter, for crews' phones: served from a thread, its store on disk, in real
time. Its chain says one thing: for whom that meter counts.
"""

import asyncio
import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import uvicorn
from sqlalchemy import select

from cloud.app import build_app
from cloud.chain.records import BindingRecord
from cloud.chain.view import ChainView
from cloud.identity.loads import LimitSettings
from cloud.service import Cloud, open_cloud
from cloud.settings import load_settings
from cloud.store import tables
from cloud.visits.bundles import bundle_of
from cloud.visits.room import VisitRoom
from contracts.bundle import Bundle
from contracts.calls.bindings import ROLE_OWN
from contracts.entry import device_id
from contracts.label import label_digest, label_link, new_code
from contracts.rotating import Moment, display_link, slot_at, token
from tests.processes import free_port, is_listening, wait_until

CHAIN_ID = 31337
CONTRACT = "0x" + "c1" * 20
ORIGIN = "demo.minglou.example/cuiyuan/b07/e0"
LIFT = "urn:minglou:cuiyuan:b07:lift:l1"
DISPLAY = "urn:minglou:cuiyuan:b07:display:d1"
PACK = "cn-tsg-t5002-2017-a"
SECRET = bytes(range(32))  # the display's
CODES = {
    place: new_code(sha256(place.encode()).digest()[:8])
    for place in ("car", "machine-room", "display", "meter", "new meter", "stranger's meter")
}
BINDINGS = "0x" + "b1" * 20
METER, SPARE = "urn:minglou:cuiyuan:b07:meter:0501-abcdefgh", "urn:minglou:cuiyuan:b07:meter:s1-ijklmnop"
REGISTER, STEP = "1-0:1.8.0", 10
FLAT, DOOR = sha256(b"flat").digest(), "b07-0501"
BOUND_FROM = 20250101
OWNERS_TOKEN = sha256(b"owner's link").digest()
TOKENS = [sha256(b"crew's link %d" % number).digest() for number in range(8)]  # each opens once
NO_LIMITS = "".join(["[limits]\n", *(f"{load}_per_minute = 0\n" for load in LimitSettings().per_minute)])
_TITLES = {
    "site": {"zh": "翠苑", "en": "Cuiyuan"},
    "lift": {"zh": "7 幢 1 号梯", "en": "Building 7, lift 1"},
    "building": {"zh": "7 幢", "en": "Building 7"},
    "firm": {"zh": "安心电梯", "en": "Anxin Lifts"},
    "meter": {"zh": "501 电表", "en": "Flat 501, electricity"},
    "spare": {"zh": "备用电表 1", "en": "Spare meter 1"},
}


@dataclass
class CrewSite:
    """The served cloud."""

    url: str
    folder: Path
    cloud: Cloud
    loop: asyncio.AbstractEventLoop
    crew: list[dict[str, Any]] = field(default_factory=list)

    def run(self, act: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Run something of the cloud's on its own loop."""
        return asyncio.run_coroutine_threadsafe(act(), self.loop).result(60)

    def enrol(self, person: dict[str, str]) -> None:
        """Put a key that a phone made into the directory, as the site's two parties would."""
        self.crew.append({
            "alias": person["alias"], "public": person["public"], "kind": person["kind"], "firm": _TITLES["firm"],
            "firm_number": 1, "duty": person["duty"],
        })  # fmt: skip
        write_directory(self.folder, self.crew)

    def link(self, place: str) -> str:
        """What a printed label says."""
        return label_link(self.url, CODES[place])

    def display(self, at_s: int | None = None) -> str:
        """What the display shows at a time."""
        slot = slot_at(int(time.time()) if at_s is None else at_s)
        return display_link(self.url, CODES["display"], Moment(slot, token(SECRET, device_id(LIFT), slot)))

    def visits(self) -> list[Bundle]:
        """Every visit that the cloud keeps, in the order of their digests."""

        async def ask() -> list[Bundle]:
            async with self.cloud.store.read() as connection:
                rows = (await connection.execute(select(tables.visits).order_by(tables.visits.c.digest))).all()
            return [bundle_of(row) for row in rows]

        found: list[Bundle] = self.run(ask)
        return found


def write_directory(folder: Path, crew: list[dict[str, Any]]) -> None:
    """The site's directory: a lift with two labels and a display, a flat's meter and a spare one, who serves them."""

    def device(urn: str, kind: str, name: str, places: tuple[str, ...], **more: Any) -> dict[str, Any]:
        labels = [{"place": place, "digest": label_digest(CODES[place]).hex()} for place in places]
        return {
            "urn": urn, "kind": kind, "name": name, "origin": ORIGIN, "floor": 1, "title": _TITLES["lift"],
            "building": "b07", "labels": labels, "packs": [PACK], **more,
        }  # fmt: skip

    def meter(urn: str, name: str, code: str, title: str, packs: list[str]) -> dict[str, Any]:
        labels = [{"place": "housing", "digest": label_digest(CODES[code]).hex()}]
        return device(
            urn, "meter", name, (), floor=5, title=_TITLES[title], labels=labels, packs=packs, firm=1,
            quantity=REGISTER, register_step=STEP, counts_for={"unit": FLAT.hex()},
        )  # fmt: skip

    site = {"name": "cuiyuan", "host": "demo.minglou.example", "title": _TITLES["site"], "timezone": "Asia/Shanghai"}
    document = {
        "format": "minglou-directory/1",
        "site": site,
        "units": [
            {"index": 0, "name": DOOR, "building": "b07", "floor": 5, "alias": FLAT.hex(), "area_centi_m2": 8_930}
        ],
        "buildings": [{"name": "b07", "title": _TITLES["building"], "area": "built-up", "cell": "30.27,120.15"}],
        "devices": [
            device(LIFT, "lift", "b07-l1", ("car", "machine-room"), serviced_since="2026-11-14", firm=1),
            device(DISPLAY, "display", "b07-d1", ("display",), of=device_id(LIFT).hex(), packs=[]),
            meter(METER, "b07-0501", "meter", "meter", ["meter-calibration", "meter-swap"]),
            meter(SPARE, "b07-s1", "new meter", "spare", []),
        ],
        "firms": [{"number": 1, "title": _TITLES["firm"]}],
        "pools": [],
        "crew": crew,
        "sign_in": [
            {"role": "crew", "unit": None, "title": _TITLES["firm"], "token_sha256": sha256(one).hexdigest()}
            for one in TOKENS
        ] + [{
            "role": "owner", "unit": FLAT.hex(), "title": _TITLES["meter"],
            "token_sha256": sha256(OWNERS_TOKEN).hexdigest(),
        }],
    }  # fmt: skip
    path = folder / "directory.json"
    path.with_suffix(".new").write_text(json.dumps(document))
    path.with_suffix(".new").rename(path)


def sign_in_path(number: int) -> str:
    """The address of one of the crew's links."""
    return f"/signin#t={urlsafe_b64encode(TOKENS[number]).rstrip(b'=').decode()}"


@contextmanager
def crew_site(folder: Path, *, port: int | None = None, behind: int | None = None) -> Iterator[CrewSite]:
    """The cloud on a port, until the block ends; phones come to it on the port that it stands behind."""
    port = port or free_port()
    url = f"http://localhost:{behind or port}"
    write_directory(folder, [])
    (folder / "cloud.toml").write_text(
        f'[cloud]\nlisten = "127.0.0.1:{port}"\npublic_url = "{url}"\ndata_dir = "data"\n'
        f'directory_file = "directory.json"\n[super_log]\norigin = "demo.minglou.example/log"\n'
        f'[maintenance]\ncontract = "{CONTRACT}"\n{NO_LIMITS}'
    )
    ready: list[CrewSite] = []
    over = threading.Event()  # asyncio's own belongs to a loop that is not here yet
    thread = threading.Thread(target=_serve, args=(folder, port, url, ready, over), name="crew site")
    thread.start()
    try:
        wait_until(lambda: bool(ready) and is_listening(port), seconds=60, what=f"the cloud on port {port}")
        yield ready[0]
    finally:
        over.set()
        thread.join(30)


def _serve(folder: Path, port: int, url: str, ready: list[CrewSite], over: threading.Event) -> None:
    async def serve() -> None:
        async with open_cloud(load_settings(folder / "cloud.toml")) as opened:
            cloud = replace(opened, visits=_room(opened), chain=_chain())
            server = uvicorn.Server(
                uvicorn.Config(build_app(cloud), host="127.0.0.1", port=port, log_level="warning", ws="none")
            )
            serving = asyncio.create_task(server.serve())
            ready.append(CrewSite(url, folder, cloud, asyncio.get_running_loop()))
            await asyncio.to_thread(over.wait)
            server.should_exit = True
            await serving

    asyncio.run(serve())


def _chain() -> Any:
    """What a followed chain would tell of the flat's meter; there is none to ask anything else."""
    view = ChainView(CHAIN_ID)
    view.bindings[device_id(METER)] = [BindingRecord(subject=FLAT, role=ROLE_OWN, from_date=BOUND_FROM)]
    deployment = SimpleNamespace(chain_id=CHAIN_ID, bindings=BINDINGS)
    upkeep = SimpleNamespace(overlaps=None)
    return SimpleNamespace(view=view, deployment=deployment, upkeep=upkeep, maintenance=None, status=lambda: None)


def _room(cloud: Cloud) -> VisitRoom:
    """Visits for a contract of a chain that nobody asks: the cloud is the postman, and the address is all it needs."""
    return VisitRoom(
        store=cloud.store, directory=cloud.directory, bell=cloud.bell, clock=cloud.settings.clock, chain_id=CHAIN_ID,
        contract=CONTRACT,
    )  # fmt: skip
