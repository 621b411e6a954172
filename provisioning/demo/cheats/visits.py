"""Three cheats with signed visits: one that nobody made, one with old photographs, one pair at two places at once.

Keys, phones, gateway and cloud are the true ones: what is signed goes the way of every visit. Nothing is put back, for
a log takes nothing back: the visits stay on the lifts' pages, as what they are.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Mapping, Sequence
from itertools import count, cycle
from typing import Any

from contracts.bundle import Bundle
from contracts.checklist import Photo
from provisioning.demo.cheats.report import CheatReport, Notice
from provisioning.demo.cheats.scene import Scene
from provisioning.demo.crew import PAPER_LIFT, SERVICED_LIFT
from provisioning.demo.errors import DemoError
from provisioning.demo.phone import Picture, picture_of
from provisioning.demo.phones import Camera, Phones
from provisioning.demo.upkeep import Upkeep

__all__ = ["be_in_two_places", "copy_a_photo", "copying", "free_start_ms", "sign_without_going"]

_HOUR_MS = 3_600_000
_AGO_MS = 2 * _HOUR_MS  # the lifts have spoken since, so that the gateway need not wait for them
_LONGEST_MS = 2 * _HOUR_MS
_APART_MS = _STEP_MS = _HOUR_MS // 2
_PAUSE_SECONDS = 0.5
_JUDGED_SECONDS = 60.0
_CHAIN_SECONDS = 20.0
_STAYS = (
    "不复原：日志不收回任何东西，这条记录照实留在电梯的公开页面上 · "
    "nothing: a log takes nothing back, and the lift's page goes on showing it as what it is"
)


async def sign_without_going(scene: Scene) -> CheatReport:
    """Two mechanics and the manager sign a service of lift 1, and nobody goes there."""
    phones = Phones(scene)
    bundle = await _signed(scene, phones, "unmade", SERVICED_LIFT, with_codes=False)
    became = await _become(phones, bundle, lambda told: told["state"] == "judged", _JUDGED_SECONDS)
    noticed = [*await _by_gateway(scene, became), *await _by_contract(scene, bundle, became)]
    noticed += [*await _on_page(scene, bundle), *_by_rules(became)]
    return CheatReport(
        before=f"{SERVICED_LIFT}: {_made(phones)}",
        after=f"{_signed_for(bundle)}，三人签名，没有人去 · signed by three, made by nobody",
        noticed=tuple(noticed),
        repaired=_STAYS,
    )


async def copy_a_photo(scene: Scene) -> CheatReport:
    """The true visit's photographs, cut and saved again, in the list of another one; the codes came by chat."""
    phones = Phones(scene)
    old = phones.kept(SERVICED_LIFT)
    if old is None or old.checklist is None or not old.checklist.photos:
        raise DemoError(f"there is no visit of {SERVICED_LIFT} with photographs yet; let the month end first")
    camera = copying([phones.octets(photo) for photo in old.checklist.photos])
    bundle = await _signed(scene, phones, "copied", SERVICED_LIFT, with_codes=True, camera=camera)
    became = await _become(phones, bundle, _has_flag("photo"), _JUDGED_SECONDS)
    return CheatReport(
        before=f"{_names(old.checklist.photos)} ({_made(phones)})",
        after=f"{_names(bundle.checklist.photos if bundle.checklist else ())}，裁边、重新压缩，放进 · "
        f"cut, saved again, and put into {_signed_for(bundle)}",
        noticed=(*_by_rules(became), *await _by_gateway(scene, became)),
        repaired=_STAYS,
    )


async def be_in_two_places(scene: Scene) -> CheatReport:
    """The same two mechanics sign both lifts for the same hour; somebody sends them both displays' codes."""
    phones = Phones(scene)
    start_ms = free_start_ms(phones.signed(), scene.state.clock.now_ms())
    bundles = [
        await _signed(scene, phones, f"places-{lift}", lift, with_codes=True, start_ms=start_ms)
        for lift in (SERVICED_LIFT, PAPER_LIFT)
    ]
    became = [await _become(phones, bundle, _has_flag("twice"), _JUDGED_SECONDS) for bundle in bundles]
    one, other = map(_signed_for, bundles)
    return CheatReport(
        before=f"{SERVICED_LIFT}: {_made(phones)}",
        after=f"{SERVICED_LIFT}: {one}; {PAPER_LIFT}: {other}，同样两个人 · by the same two people",
        noticed=(*_by_rules(became[0]), *await _by_gateway(scene, became[0])),
        repaired=_STAYS,
    )


def copying(pictures: Sequence[bytes]) -> Camera:
    """A camera that gives old pictures for new ones: each cut a little at its edges, and pressed harder."""
    from PIL import Image

    sources, cuts = cycle(pictures), count(3)

    def take(at_s: int) -> Picture:
        with Image.open(io.BytesIO(next(sources))) as old:
            cut = next(cuts)
            part = old.crop((cut, cut, old.width - cut, old.height - cut)).resize(old.size, Image.Resampling.BILINEAR)
        return picture_of(part, at_s=at_s, quality=60)

    return take


def free_start_ms(signed: Sequence[Bundle], now_ms: int) -> int:
    """The last time, some hours ago, when these people had signed nothing yet: a cheat is caught for what it is."""
    taken = [(1000 * one.visit.started_at_s - _APART_MS, 1000 * one.visit.ended_at_s + _APART_MS) for one in signed]
    start_ms = now_ms - _AGO_MS - _LONGEST_MS
    while any(start_ms < end_ms and from_ms < start_ms + _LONGEST_MS for from_ms, end_ms in taken):
        start_ms -= _STEP_MS
    return start_ms // 1000 * 1000


async def _signed(
    scene: Scene, phones: Phones, name: str, lift: str, *, with_codes: bool, start_ms: int | None = None,
    camera: Camera | None = None,
) -> Bundle:  # fmt: skip
    """A visit of some hours ago, signed and handed in."""
    begun_ms = free_start_ms(phones.signed(), scene.state.clock.now_ms()) if start_ms is None else start_ms
    bundle = await phones.sign(f"{name}-{begun_ms // 1000}", lift, begun_ms, with_codes=with_codes, camera=camera)
    answer = await phones.hand_in(bundle)
    if answer.code != 200:
        raise DemoError(f"the cloud did not take the visit: {answer.code} {answer.body.decode(errors='replace')[:300]}")
    return bundle


async def _become(
    phones: Phones, bundle: Bundle, is_enough: Callable[[Mapping[str, Any]], bool], seconds: float
) -> Mapping[str, Any]:
    """What the cloud says of a visit, once it is judged and `is_enough`."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        told = await phones.became(bundle)
        is_judged = told.get("state") == "judged"
        if is_judged and is_enough(told):
            return told
        if asyncio.get_running_loop().time() > deadline:
            if is_judged:
                return told
            raise DemoError(f"the gateway has not judged the visit after {seconds:.0f} s; look at gateway.log")
        await asyncio.sleep(_PAUSE_SECONDS)


def _has_flag(kind: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda told: any(flag["kind"] == kind for flag in told.get("flags", ()))


async def _by_gateway(scene: Scene, became: Mapping[str, Any]) -> list[Notice]:
    """What the gateway's signed verdict, the entry behind the visit's, holds against it."""
    level = int(became["level"])
    if level > 1:
        return []
    verdict = await _verdict(scene, became["entry"])
    items, presence = verdict.get("items", {}), verdict.get("presence")
    missing = sum(finding in ("not-seen", "contradicted") for finding in items.values())
    says = (
        f"电梯能证明的 {len(items)} 项中有 {missing} 项没有看到；人员在场：{presence} · "
        f"of {len(items)} things that the lift would show it did not show {missing}; the crew's presence: {presence}"
    )
    return [Notice(who="网关 gateway", check=f"level {level}", says=says)]


async def _verdict(scene: Scene, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Out of the evidence file that anybody may ask for."""
    answer = await scene.ask_cloud(f"/v1/evidence/{entry['origin']}/{int(entry['index']) + 1}")
    detail = answer.json().get("detail")
    verdict: Mapping[str, Any] = detail.get("verdict", {}) if isinstance(detail, dict) else {}
    return verdict


async def _by_contract(scene: Scene, bundle: Bundle, became: Mapping[str, Any]) -> list[Notice]:
    """What ServiceAgreements keeps of it, if it has it by now: the level that was seen, and no fee for it."""
    digest = bundle.visit.digest()
    state = await Upkeep(scene).wait(
        SERVICED_LIFT, bundle, seconds=_CHAIN_SECONDS,
        until=lambda now: now.kept is not None and digest.startswith(now.kept.digest),
    )  # fmt: skip
    asked = state.agreement.level
    if state.kept is None or not digest.startswith(state.kept.digest) or state.kept.paid or became["level"] >= asked:
        return []
    says = (
        f"记录在链，不付款，也不算一次维保 · recorded; it pays nothing and counts for nothing: level {asked} is asked"
    )
    return [Notice(who="合约 contract", check=f"level {state.kept.best.level}", says=says)]


async def _on_page(scene: Scene, bundle: Bundle) -> list[Notice]:
    """What everybody reads of it, without a login."""
    page = (await scene.ask_cloud(f"/v1/devices/{SERVICED_LIFT}/public")).json()
    last = page.get("last_visit") or {}
    if last.get("digest") != bundle.visit.digest().hex() or last.get("level"):
        return []
    says = "电梯没有任何痕迹，与真的那次并列 · the lift shows no trace of it; it stands beside the true one"
    return [Notice(who="公开页面 public page", check=f"/lifts/{SERVICED_LIFT}", says=says)]


def _by_rules(became: Mapping[str, Any]) -> list[Notice]:
    """What the cloud asks about it in public."""
    return [
        Notice(
            who="云端核查 integrity check", check=flag["kind"], says=f"{flag['says']['zh']} · {flag['says']['en']}"
        )
        for flag in became.get("flags", ())
    ]  # fmt: skip


def _made(phones: Phones) -> str:
    true = phones.kept(SERVICED_LIFT)
    return "尚无维保记录 · no visit yet" if true is None else f"真的维保 · the true visit {_signed_for(true)}"


def _signed_for(bundle: Bundle) -> str:
    visit = bundle.visit
    return f"{visit.digest().hex()[:8]}… ({(visit.ended_at_s - visit.started_at_s) // 60} min)"


def _names(photos: Sequence[Photo]) -> str:
    return ", ".join(f"{photo.sha256.hex()[:8]}…" for photo in photos)
