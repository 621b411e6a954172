"""The crew's phones as they lie on this machine's disk: they sign a visit, keep bundle and pictures, and hand it in.

They do what the crew app does (`provisioning.demo.phone`), and hand in as any relay may, again and again until the
cloud has it. Nothing here knows what the gateway saw.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

from contracts.bundle import Bundle, format_bundle, parse_bundle
from contracts.checklist import Photo
from contracts.label import Place, label_link
from contracts.pack import read_pack
from contracts.visit import NOBODY, VisitClass
from devices.simulated.lift.schedule import visit_round
from provisioning.demo.cheats.scene import Answer, Scene
from provisioning.demo.crew import PACK, crew_people
from provisioning.demo.figures import ask_building
from provisioning.demo.phone import Picture, Visiting, draw_picture
from provisioning.demo.writing import SEED
from provisioning.files import write_private
from provisioning.names import device_key
from provisioning.settings import maintenance_contract
from provisioning.site import Device

__all__ = ["Camera", "Phones"]

Camera = Callable[[int], Picture]
"""Takes a photograph at an instant (Unix seconds)."""

_ABSENT = ("A-1-06",)  # a lift whose brake is no part of the protection against unintended movement
_SIGNATURE_SECONDS = 60 * 86_400
_PAUSE_SECONDS = 0.5
_TOO_MANY = 429


class Phones:
    """Two mechanics' phones and the manager's, which sign together."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._folder = scene.places.root / "visits"

    def kept(self, name: str) -> Bundle | None:
        """A visit that was signed under this name; None before it is."""
        path = self._folder / f"{name}.json"
        return parse_bundle(path.read_bytes()) if path.exists() else None

    def signed(self) -> Sequence[Bundle]:
        """All that the phones ever signed, in order."""
        bundles = [parse_bundle(path.read_bytes()) for path in self._folder.glob("*.json")]
        return sorted(bundles, key=_number)

    def octets(self, photo: Photo) -> bytes:
        """The bytes of a photograph that a list names."""
        return (self._folder / f"{photo.sha256.hex()}.jpg").read_bytes()

    def end_ms(self, lift: str, start_ms: int) -> int:
        """When a crew leaves that comes at `start_ms`; on paper it takes as long as a real visit would."""
        device = self._device(lift)
        floors = next(one.floors for one in self._scene.site.buildings if one.name == device.building)
        return visit_round(SEED, lift, floors, start_ms).end_ms // 1000 * 1000

    async def sign(
        self, name: str, lift: str, start_ms: int, *, with_codes: bool, camera: Camera | None = None
    ) -> Bundle:
        """Sign a half-month visit of a lift, once: a second call gives the same bytes.

        Args:
            with_codes: whether the display's codes of that time are at hand, and a printed label's.
            camera: of the photographs that the list asks for; without one they are drawn.
        """
        bundle = self.kept(name)
        if bundle is not None:
            return bundle
        device = self._device(lift)
        visiting = Visiting(
            device=self._scene.names.device(self._scene.site, device), pack=read_pack(PACK),
            visit_class=VisitClass.HALF_MONTH,
        )  # fmt: skip
        end_ms = await asyncio.to_thread(self.end_ms, lift, start_ms)
        if with_codes:
            await self._scan(visiting, device, start_ms // 1000, end_ms // 1000)
        return await asyncio.to_thread(self._sign, name, visiting, start_ms, end_ms, camera or _drawing(name))

    async def hand_in(self, bundle: Bundle) -> Answer:
        """Hand in a visit and its photographs, until the cloud takes it or refuses it; its last answer."""
        while True:
            answer = await self._scene.ask_cloud("/v1/visits", body=format_bundle(bundle))
            if answer.code == 200:
                await self._hand_in_pictures(bundle)
                return answer
            if 400 <= answer.code < 500 and answer.code != _TOO_MANY:
                return answer
            await asyncio.sleep(_PAUSE_SECONDS)

    async def became(self, bundle: Bundle) -> dict[str, Any]:
        """What the cloud says became of a visit."""
        return (await self._scene.ask_cloud(f"/v1/visits/{bundle.visit.digest().hex()}")).json()

    async def _hand_in_pictures(self, bundle: Bundle) -> None:
        digest = bundle.visit.digest().hex()
        for photo in bundle.checklist.photos if bundle.checklist else ():
            octets = await asyncio.to_thread(self.octets, photo)
            await self._scene.ask_cloud(f"/v1/visits/{digest}/files/{photo.sha256.hex()}", body=octets, method="PUT")

    async def _scan(self, visiting: Visiting, device: Device, started_at_s: int, ended_at_s: int) -> None:
        """Both mechanics read the display when they come and go, one of them the machine room's label as well."""
        name = next(one.name for one in self._scene.site.devices if one.kind == "display" and one.of == device.name)
        comes = ((0, "in", started_at_s), (1, "in", started_at_s + 30))
        goes = ((0, "out", ended_at_s - 40), (1, "out", ended_at_s))
        for by, sense, at_s in (*comes, *goes):
            question = {"do": "display", "device": name, "at_ms": at_s * 1000}
            shown = str((await ask_building(self._scene.places.building / "control.sock", question)).get("shown", ""))
            if shown:
                visiting.scan(shown, by=by, at_s=at_s, place=Place.DISPLAY, sense=sense)
        for code in self._scene.names.labels.get(device_key(device), {}).get("machine-room", ())[:1]:
            link = label_link(self._scene.cloud_url, code)
            visiting.scan(link, by=0, at_s=started_at_s + 120, place=Place.MACHINE_ROOM)

    def _sign(self, name: str, visiting: Visiting, start_ms: int, end_ms: int, camera: Camera) -> Bundle:
        contract = maintenance_contract(self._scene.places)
        assert contract is not None, "the demo's contracts are deployed"
        checklist = visiting.fill(at_s=start_ms // 1000 + 600, absent=_ABSENT, camera=camera)
        before = self.signed()
        *mechanics, manager = crew_people(
            self._scene.places, number=_number(before[-1]) + 1 if before else 1,
            previous=before[-1].visit.digest() if before else NOBODY,
        )  # fmt: skip
        bundle = visiting.sign(
            checklist, mechanics=mechanics, manager=manager, started_at_s=start_ms // 1000, ended_at_s=end_ms // 1000,
            chain_id=self._scene.site.chain_id, contract=contract, nonce=start_ms,
            deadline=start_ms // 1000 + _SIGNATURE_SECONDS,
        )  # fmt: skip
        for picture in visiting.pictures:
            write_private(self._folder / f"{picture.photo.sha256.hex()}.jpg", picture.octets)
        write_private(self._folder / f"{name}.json", format_bundle(bundle) + b"\n")
        return bundle

    def _device(self, lift: str) -> Device:
        return next(one for one in self._scene.site.devices if one.name == lift)


def _number(bundle: Bundle) -> int:
    """Which of its phones' visits it is."""
    return max((one.number for one in bundle.presence.phones), default=0) if bundle.presence else 0


def _drawing(name: str) -> Camera:
    """Pictures of one visit, unlike those of every other."""
    rng = random.Random(name)
    return lambda at_s: draw_picture(rng, at_s=at_s)
