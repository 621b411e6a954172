"""What the world's household reported, and what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from cloud.identity.roles import Role
from cloud.visits.pictures import PictureRefused
from cloud.visits.redrawn import redrawn
from cloud.web.answers import Person, Title
from cloud.web.device_answers import FirmStanding, Oversight, TrappedPeople, Work
from cloud.web.repair_answers import Repair, RepairAnswer, RepairForm, RepairPlace, RepairReason, SigningTerms
from contracts import p256
from contracts.entry import device_id
from contracts.person import key_id_of
from contracts.repair import Report
from tests.cloud.web.device_world import FIRM, LATE, LIFT_1, PLACE, TRAPPED

LIFT_DEVICE = device_id("urn:minglou:cuiyuan:b07:lift:b07-l1")
ORDERS = "0x" + "7d" * 20  # WorkOrders
FLAT_TITLE = Title(zh="7幢 501室", en="Building 7, flat 501")
_NOW_MS = 1_795_744_800_000
REPAIR = Repair(
    name="c3" * 32, flat=FLAT_TITLE, device=LIFT_1, device_page="/lifts/b07-l1", place="轿厢 / car",
    says="The door opens twice before it goes.",
    detail=Report(
        device=LIFT_DEVICE, place="轿厢 / car", says="The door opens twice before it goes.", at_s=_NOW_MS // 1000
    ).encode(salt=bytes(16)).decode(),
    device_hash=LIFT_DEVICE, said_at_ms=_NOW_MS - 86_400_000, by_tenant=False, state="accepted", problem="", round=0,
    firm=FIRM, promise_at_ms=_NOW_MS + 3_600_000, done_at_ms=None, is_unheard=False, is_missed=False, reopened=0,
    transaction="0x" + "aa" * 32, reasons=(), terms=None,
)  # fmt: skip
DONE = replace(
    REPAIR, name="c4" * 32, state="done", done_at_ms=_NOW_MS - 3_600_000, reopened=1, round=1,
    reasons=(RepairReason(says="It still does.", said_at_ms=_NOW_MS - 7_200_000),),
)  # fmt: skip
TOLD = replace(
    REPAIR, name="c5" * 32, state="told", by_tenant=True, firm=None, promise_at_ms=None, transaction=None,
    device=None, device_page="", place="",
)  # fmt: skip


def terms_of(key: p256.PrivateKey, now_ms: int) -> SigningTerms:
    """What a page hands to the owner's browser."""
    public = p256.public_bytes(key)
    return SigningTerms(
        chain_id=31337, contract=ORDERS, key_public=public, key_id=key_id_of(public), nonce=now_ms,
        deadline_s=now_ms // 1000 + 86_400,
    )  # fmt: skip


class RepairWorld:
    """What pages ask of repairs, and of oversight."""

    if TYPE_CHECKING:
        now_ms: int

        async def work(self, viewer: Person) -> Work | None: ...

    kept: Sequence[Repair] = (REPAIR, DONE, TOLD)
    handed_in: tuple[dict[str, Any], ...] = ()
    repair_terms: SigningTerms | None = None
    repair_pictures: Mapping[str, bytes] = {}
    uploaded: tuple[bytes, ...] = ()  # as they came

    def _terms(self, viewer: Person) -> SigningTerms | None:
        return self.repair_terms if viewer.role is Role.OWNER else None

    async def repair_form(self, viewer: Person, door: str) -> RepairForm | None:
        if door != "b07-0501" or door not in viewer.units:
            return None
        places = (
            RepairPlace(device=LIFT_DEVICE.hex(), title=LIFT_1, place=PLACE),
            RepairPlace(device="", title=Title(zh="其他", en="Something else in the building"), place=None),
        )
        return RepairForm(door=door, flat=FLAT_TITLE, places=places, terms=self._terms(viewer))

    async def repairs(self, viewer: Person) -> Sequence[Repair]:
        kept = [replace(one, has_photo=one.name in self.repair_pictures) for one in self.kept]
        return [replace(one, terms=self._terms(viewer)) for one in kept] if "b07-0501" in viewer.units else []

    async def repair(self, viewer: Person, name: bytes) -> Repair | None:
        return next((one for one in await self.repairs(viewer) if one.name == name.hex()), None)

    async def report_repair(self, viewer: Person, door: str, detail: bytes, act: bytes | None) -> RepairAnswer:
        self.handed_in += ({"door": door, "detail": detail, "act": act},)
        return RepairAnswer(status=202, code="sent", name=REPAIR.name)

    async def tell_repair(self, viewer: Person, door: str, device: str, place: str, says: str) -> RepairAnswer:
        if door not in viewer.units:
            return RepairAnswer(status=404, code="not_found")
        if not says:
            return RepairAnswer(status=422, code="malformed", remedy="say what is wrong")
        self.handed_in += ({"door": door, "device": device, "place": place, "says": says},)
        return RepairAnswer(status=201, code="told", name=TOLD.name)

    async def answer_repair(self, viewer: Person, name: bytes, detail: bytes | None, act: bytes) -> RepairAnswer:
        self.handed_in += ({"name": name.hex(), "detail": detail, "act": act},)
        return RepairAnswer(status=202, code="sent", name=name.hex())

    async def add_repair_photo(self, viewer: Person, name: bytes, octets: bytes) -> RepairAnswer:
        if await self.repair(viewer, name) is None:
            return RepairAnswer(status=404, code="not_found")
        self.uploaded += (octets,)
        try:
            kept = redrawn(octets)
        except PictureRefused as refusal:
            return RepairAnswer(status=422, code="bad_picture", remedy=str(refusal))
        self.repair_pictures = {**self.repair_pictures, name.hex(): kept}
        return RepairAnswer(status=201, code="kept", name=name.hex())

    async def repair_photo(self, viewer: Person, name: bytes) -> bytes | None:
        return self.repair_pictures.get(name.hex()) if await self.repair(viewer, name) is not None else None

    async def oversight(self, viewer: Person) -> Oversight | None:
        work = await self.work(viewer)
        if work is None or viewer.role not in (Role.MANAGER, Role.COMMITTEE, Role.REGULATOR):
            return None
        trapped = [
            TrappedPeople(name="b07-l1", title=LIFT_1, firm=FIRM, limit_s=1_800, entrapment=one)
            for one in LATE.entrapments
        ]
        return Oversight(
            today=work.today,
            firms=(FirmStanding(firm=FIRM, devices=3, late=1, soon=1, days_most=2),),
            late=tuple(row for row in work.rows if row.state == "overdue"),
            trapped=tuple(trapped),
            orders=(replace(TRAPPED, is_missed=True),),
        )


def digest_of(detail: bytes) -> bytes:
    """What is signed of a report's words."""
    return sha256(detail).digest()
