"""Which visits one is held against on a busy site, where none of them are the newest hundreds; and which pictures."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from cloud.directory import DirectoryDevice, DirectoryLabel, Words
from cloud.integrity.facts import LabelWord, Limits, Phone, Photo, VisitFacts
from cloud.integrity.near import alike, worth_opening
from cloud.integrity.neighbours import find_neighbours
from cloud.integrity.stored import labels_of
from cloud.store import Store, tables
from cloud.store.upsert import insert_new_rows

Run = Callable[[Any], Any]
START_S, DAY_S, LIMITS = 1_764_000_000, 86_400, Limits()
FIRST, SECOND, MANAGER, DEVICE = (letter * 32 for letter in (b"1", b"2", b"3", b"d"))
PHONE = b"n" * 16


def digest_of(name: str) -> bytes:
    return name.encode().ljust(32, b"\0")


def signatures(
    name: str, start_s: int, signers: Iterable[bytes] = (FIRST, SECOND, MANAGER), *, phone: bytes | None = None,
    numbers: Iterable[int] = (),
) -> list[dict[str, Any]]:  # fmt: skip
    """A visit's rows of `visit_signers`; each of the numbers is a signature on the same phone."""
    counted = list(numbers)
    return [
        {
            "digest": digest_of(name), "position": position, "signer": signer, "started_at_s": start_s,
            "phone": phone if position < len(counted) else None,
            "number": counted[position] if position < len(counted) else None, "previous": None,
        }
        for position, signer in enumerate(signers)
    ]  # fmt: skip


def test_on_a_busy_site_each_rule_is_given_the_visits_that_it_asks_about(run: Run, store: Store) -> None:
    """900 visits of the site's manager and 450 of the crew's own, all before: none of them pushes a wanted one out."""
    rows = [row for at in range(900) for row in signatures(f"managed {at}", START_S - 60 * at, (b"4" * 32, MANAGER))]
    rows += [
        row
        for at in range(450)
        for row in signatures(f"own {at}", START_S - (3 + at // 8) * DAY_S, phone=PHONE, numbers=(10 + at,))
    ]
    rows += signatures("the hour before", START_S - 3_600)
    rows += signatures("cloned", START_S - 400 * DAY_S, (b"5" * 32,), phone=PHONE, numbers=(7_000,))
    rows += [
        row
        for at in (30, 60, 91)
        for row in signatures(f"shared {at}", START_S - at * DAY_S, phone=b"f" * 16, numbers=(at, at))
    ]
    phones = (Phone(by=0, name=PHONE, number=7_000, previous=b""), Phone(by=1, name=PHONE, number=7_000, previous=b""))
    alone = VisitFacts(
        digest=digest_of("this"), device=DEVICE, cell=None, visit_class=1, started_at_s=START_S,
        ended_at_s=START_S + 2_400, signers=(FIRST, SECOND, MANAGER), mechanics=2, phones=phones[:1],
    )  # fmt: skip

    async def scenario() -> None:
        async with store.write() as connection:
            await insert_new_rows(connection, tables.visit_signers, rows)
        async with store.read() as connection:
            own = set(await find_neighbours(connection, alone, LIMITS))
            shared = set(await find_neighbours(connection, replace(alone, phones=phones), LIMITS))
        assert own == {digest_of("the hour before"), digest_of("cloned")}
        assert shared - own == {digest_of("shared 30"), digest_of("shared 60")}
        await store.close()

    run(scenario())


def _picture(number: int, bits: int, **changes: Any) -> Photo:
    """A picture whose fingerprints are so many bits from nothing, and its copies in all positions."""
    word = (1 << bits) - 1
    usual = Photo(sha256=bytes([number]) * 32, dhash=word, at_s=START_S, turned=(word,) * 8, parts=(word,) * 11)
    return replace(usual, **changes)


def test_of_pictures_that_look_alike_the_nearest_are_opened_and_old_ones_not_again() -> None:
    base = VisitFacts(
        digest=b"v" * 32, device=DEVICE, cell=None, visit_class=1, started_at_s=START_S, ended_at_s=START_S + 60,
        signers=(FIRST,), mechanics=1, photos=(_picture(1, 0), _picture(2, 0, is_new=False)),
    )  # fmt: skip
    others = [replace(base, digest=bytes([40 + at]) * 32, photos=(_picture(9, 40 - at),)) for at in range(30)]
    opened = worth_opening(base, others, LIMITS, count=4)
    assert opened[0] == (base.digest, b"\x01" * 32)
    assert [visit for visit, _ in opened[1:]] == [others[-1 - at].digest for at in range(3)], "not those first in line"
    assert (base.digest, b"\x02" * 32) not in opened
    far = replace(base, device=b"e" * 32, signers=(SECOND,), photos=(_picture(9, LIMITS.far_shape_bits + 1),))
    assert worth_opening(base, [replace(far, digest=b"f" * 32)], LIMITS, count=4) == []


def test_among_thousands_of_pictures_the_nearest_visits_are_told_with_their_distance() -> None:
    def row(digest: bytes, bits: int, dhash: int = 0) -> Any:
        word = ((1 << bits) - 1).to_bytes(32)
        return SimpleNamespace(digest=digest, dhash=dhash.to_bytes(8), shapes=word * 19)

    rows = [row(b"a", 100), row(b"b", 60), row(b"b", 20), row(b"c", 60), row(b"d", 29, dhash=0b11)]
    own = [True, True, True, False, False]
    assert alike([_picture(1, 0)], rows, own, LIMITS) == {b"b": 20, b"d": 29}
    said = _picture(1, 0, turned=(), parts=(), dhash=0b111)
    assert alike([said], rows, own, LIMITS) == {b"a": 3, b"b": 3, b"c": 3, b"d": 1}, "by what a phone says"


def test_a_label_is_its_devices_by_the_chain_and_until_it_is_revoked() -> None:
    names = ("lift", "other", "display", "printed")
    lift, other, display, printed = (name.encode().ljust(32, b".") for name in names)

    def device(name: bytes, **more: Any) -> DirectoryDevice:
        return DirectoryDevice(
            urn="", device=name, kind="lift", origin="", floor=None, title=Words(zh="", en=""), quantity=None,
            unit=None, pool=None, tariff=None, name="", **more,
        )  # fmt: skip

    devices = (device(lift, labels=(DirectoryLabel(place="car", digest=printed),)), device(display, of=lift))
    held = {one.device: one for one in devices}
    site = SimpleNamespace(devices=devices, device_of=held.get, label_of={printed: (devices[0], "car")}.get)
    bound = {b"hung": (lift, START_S), b"beside": (display, None), b"elsewhere": (other, None)}
    word = labels_of(SimpleNamespace(read=lambda: site), bound.get)  # type: ignore[arg-type]
    told = {label: word(lift, label, START_S) for label in (*bound, printed, b"made up")}
    assert told == {
        b"hung": LabelWord.WITHDRAWN, b"beside": LabelWord.ITS_OWN, b"elsewhere": LabelWord.OTHERS,
        printed: LabelWord.ITS_OWN, b"made up": LabelWord.UNKNOWN,
    }  # fmt: skip
    assert word(lift, b"hung", START_S - 1) is LabelWord.ITS_OWN, "it was scanned while it counted"
    unlabelled = SimpleNamespace(devices=(), device_of=held.get, label_of=dict[bytes, Any]().get)
    assert labels_of(SimpleNamespace(read=lambda: unlabelled), bound.get)(lift, b"made up", START_S) is None  # type: ignore[arg-type]
