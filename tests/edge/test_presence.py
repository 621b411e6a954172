"""Presence: what a display's codes, a card at the machine room and a nonce of the building's network are worth."""

import json
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from contracts.bundle import Bundle, bundle_to_json
from contracts.entry import device_id
from contracts.label import parse_link
from contracts.rotating import SLOT_S, Moment, parse_moment, token
from devices.errors import MessageError
from devices.simulated.display import Display, DisplaySettings
from devices.simulated.publisher import Link
from edge.calendar_days import LocalDays
from edge.committer import Committer
from edge.credentials import hash_password
from edge.errors import KeyFileError, SettingsError
from edge.presence import DisplaySecrets, NoncePage, Nonces
from edge.presence.codes import Evidence, Signers, find_codes, spent_mark
from edge.presence.store import DAY_MS, PresenceStore
from edge.registers import Registers
from edge.roster import make_roster
from edge.settings import read_settings
from edge.visits.finding import Finding, PresenceFinding
from tests.bundles import ReadBy, bundle_of, presence_of
from tests.edge.cloud_stub import CloudStub
from tests.edge.site import ORIGIN, PASSWORD, Site
from tests.edge.test_visits import add_lift, publish, started_ms, wait_for_verdict
from tests.processes import Program, wait_until
from tests.visits import LIFT, MANAGER, MECHANIC, OTHER, visit_of

DISPLAY = "urn:minglou:site:b01:display:d1"
DOOR = "urn:minglou:site:b01:access:machine-room"
SECRET, DEVICE = bytes(range(32)), device_id(LIFT)
START_S = 1_763_000_000
KEYS = (sha256(b"first").digest(), sha256(b"second").digest())
TWO = Signers(keys=KEYS, mechanics=2, started_at_s=START_S, ended_at_s=START_S + 2100)


def shown(at_s: int, secret: bytes = SECRET) -> Moment:
    """What the display beside the lift shows at a time."""
    return Moment(at_s // SLOT_S, token(secret, DEVICE, at_s // SLOT_S))


def guessed(at_s: int) -> Moment:
    return shown(at_s, bytes(32))


def found(
    codes: Sequence[ReadBy], *, signers: Signers = TWO, is_heard: bool = True, spent: Sequence[bytes] = (),
    secrets: Sequence[bytes] = (SECRET,), limited: Sequence[int] = (), carded: Sequence[int] = (),
    is_disputed: bool = False, is_damaged: bool = False, old: Sequence[tuple[bytes, int]] = (),
) -> PresenceFinding:  # fmt: skip
    evidence = Evidence(
        device=DEVICE, secrets=secrets, is_heard=is_heard, is_spent=lambda mark: mark in spent, limited=limited,
        carded=carded, is_disputed=is_disputed, is_damaged=is_damaged, old=old,
    )  # fmt: skip
    visit = visit_of(START_S, mechanics=(MECHANIC, OTHER))
    return find_codes(presence_of(visit, codes), signers, evidence)[0]


BOTH = ((0, shown(START_S)), (1, shown(START_S + 60)), (0, shown(START_S + 2000)))


# ---- what a code is worth ----


def test_right_codes_of_both_mechanics_prove_presence_and_how_long() -> None:
    finding = found(BOTH)
    assert (finding.word, finding.signers) == (Finding.CONFIRMED, (Finding.CONFIRMED, Finding.CONFIRMED))
    assert finding.dwell_s == 2010  # from slot to slot
    assert (finding.wrong, finding.used, len(finding.slots), len(finding.spent)) == (0, 0, 3, 3)


@pytest.mark.parametrize(
    ("codes", "second"),
    [
        ((), Finding.NOT_SEEN),
        (((1, guessed(START_S)),), Finding.CONTRADICTED),
        (((1, guessed(START_S)), (1, shown(START_S))), Finding.CONFIRMED),
        (((1, shown(START_S - 1200)),), Finding.NOT_SEEN),  # a true code of another hour says nothing of this one
        (((1, shown(START_S - 540)),), Finding.CONFIRMED),  # as far as a phone's clock may be wrong
    ],
)
def test_the_visits_word_is_its_mechanics_worst(codes: Sequence[ReadBy], second: Finding) -> None:
    finding = found([(0, shown(START_S)), *codes])
    assert finding.signers == (Finding.CONFIRMED, second)
    assert finding.word is second


def test_an_old_picture_of_a_code_proves_nothing_however_true_the_code_is() -> None:
    """One photographs the display in the morning, the other signs with the picture in the evening."""
    visit = visit_of(START_S, minutes=600, mechanics=(MECHANIC, OTHER))
    day = Signers(keys=KEYS, mechanics=2, started_at_s=START_S, ended_at_s=START_S + 36_000)
    evidence = Evidence(device=DEVICE, secrets=(SECRET,), is_heard=True, is_spent=lambda mark: False)
    proof = presence_of(visit, [(0, shown(START_S)), (1, shown(START_S))])
    for late_s, word in (
        (0, Finding.CONFIRMED),
        (600, Finding.CONFIRMED),
        (690, Finding.NOT_SEEN),
        (30_000, Finding.NOT_SEEN),
    ):
        scans = (proof.scans[0], replace(proof.scans[1], at_s=START_S + late_s))
        finding, wrong = find_codes(replace(proof, scans=scans), day, evidence)
        assert finding.signers == (Finding.CONFIRMED, word)
        assert wrong == (0, 0), "it is no guess"


def test_the_site_manager_need_not_stand_at_the_machine() -> None:
    three = Signers(keys=(*KEYS, sha256(b"manager").digest()), mechanics=2, started_at_s=START_S, ended_at_s=START_S)
    finding = found(BOTH[:2], signers=three)
    assert finding.word is Finding.CONFIRMED
    assert finding.signers[2] is Finding.NOT_SEEN


def test_a_display_that_was_silent_or_never_paired_cannot_say_that_nobody_came() -> None:
    assert found((), is_heard=False).word is Finding.NOT_OBSERVABLE
    assert found(BOTH, secrets=()).word is Finding.NOT_OBSERVABLE
    assert found(BOTH, is_heard=False).word is Finding.CONFIRMED, "a right code needs no report beside it"


def test_where_another_display_may_stand_nobody_is_contradicted_or_missed() -> None:
    """It was replaced and not forgotten: its codes are not the crew's guesses."""
    finding = found([(0, guessed(START_S)), (1, shown(START_S))], is_disputed=True)
    assert (finding.signers, finding.wrong) == ((Finding.NOT_OBSERVABLE, Finding.CONFIRMED), 0)
    assert found((), is_disputed=True).word is Finding.NOT_OBSERVABLE


def test_a_code_of_a_display_that_was_forgotten_since_is_no_guess() -> None:
    """Offline visits of before the swap may wait in phones for weeks."""
    new, until = bytes(32), (START_S + 3600) // SLOT_S
    assert found(BOTH, secrets=(new,), old=((SECRET, until),)).word is Finding.CONFIRMED
    assert found(BOTH, secrets=(), old=((SECRET, until),)).word is Finding.CONFIRMED, "the next one is not paired yet"
    late = found(BOTH, secrets=(new,), old=((SECRET, START_S // SLOT_S),))
    assert (late.word, late.wrong) == (Finding.CONTRADICTED, 3), "it counts for nothing that came after"


def test_a_forgotten_secret_is_kept_for_the_time_before(tmp_path: Path) -> None:
    kept, display = DisplaySecrets(tmp_path), device_id(DISPLAY)
    for number in range(6):
        kept.keep(display, bytes([number]) * 32)
        assert kept.forget(display, (START_S + number) * 1000)
    assert kept.of(display) is None
    old = sorted(kept.old_of(display))
    assert old == [(bytes([number]) * 32, (START_S + number) * 1000) for number in range(2, 6)]
    assert kept.old_of(bytes(32)) == []


def test_a_display_that_is_paired_and_confirms_nobody_is_due_whatever_silenced_it() -> None:
    silent = found((), is_heard=False)
    assert (silent.word, silent.is_due, silent.facts()["silent"]) == (Finding.NOT_OBSERVABLE, True, True)
    assert found((), is_disputed=True).is_due
    damaged = found(BOTH, secrets=(), is_damaged=True)
    assert (damaged.word, damaged.is_due, damaged.wrong) == (Finding.NOT_OBSERVABLE, True, 0)
    assert not found((), secrets=()).is_due, "none is paired"
    assert "silent" not in found(BOTH).facts()


def test_a_code_serves_once_for_each_person() -> None:
    first = found(BOTH)
    again = found(BOTH, spent=first.spent)
    assert (again.word, again.used, again.slots) == (Finding.NOT_SEEN, 3, ())
    mark = spent_mark(DEVICE, START_S // SLOT_S, KEYS[0])
    assert found([(0, shown(START_S)), (1, shown(START_S))], spent=[mark]).signers == (
        Finding.NOT_SEEN, Finding.CONFIRMED,
    )  # fmt: skip


def test_who_guessed_too_often_stands_no_better_than_who_brought_nothing_but_for_his_card() -> None:
    assert found(BOTH, limited=[0]).signers == (Finding.NOT_SEEN, Finding.CONFIRMED)
    assert found([], limited=[0], is_heard=False).signers == found([], is_heard=False).signers
    assert found(BOTH, limited=[0]).facts()["limited"] is True
    carded = found([], limited=[0], carded=[0, 1])
    assert (carded.word, carded.doors) == (Finding.CONFIRMED, 2)


def test_the_facts_of_a_full_proof_leave_room_for_the_rest_of_the_verdict() -> None:
    full = found([(number % 2, shown(START_S + 120 * number)) for number in range(16)])
    assert len(json.dumps(full.facts(), separators=(",", ":"))) < 800


# ---- what is remembered ----


def test_guesses_count_for_a_day_once_a_visit_and_by_key(tmp_path: Path) -> None:
    store = PresenceStore(tmp_path / "presence.sqlite3")
    key, other, now_ms = KEYS[0], KEYS[1], START_S * 1000
    for visit, count in ((b"v1", 3), (b"v1", 3), (b"v2", 2)):
        store.note_guesses(key, visit, count, now_ms)
    assert store.guesses(key, now_ms, but=b"v3") == 5
    assert store.guesses(key, now_ms, but=b"v1") == 2, "a visit that is judged again is not held against itself"
    assert store.guesses(key, now_ms + DAY_MS, but=b"v3") == 0
    assert store.guesses(other, now_ms, but=b"v3") == 0
    store.close()


def test_a_broken_memory_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "presence.sqlite3"
    path.write_bytes(b"garbage" * 1000)
    store = PresenceStore(path)
    assert store.spend_nonce(b"n" * 16, b"visit")
    store.close()


class Fixed:
    """A clock that stands."""

    def __init__(self, now_ms: int) -> None:
        self.at_ms = now_ms

    def now_ms(self) -> int:
        return self.at_ms


def test_a_nonce_is_drawn_on_the_lan_and_serves_once(tmp_path: Path) -> None:
    store, clock = PresenceStore(tmp_path / "presence.sqlite3"), Fixed(START_S * 1000)
    nonces = Nonces(SECRET, clock)
    page = NoncePage(nonces, [DEVICE], ["https://minglou.example/crew", "https://second.example/crew"])
    path = f"/presence/{DEVICE.hex()[:16]}"
    code, address = page.answer(path, "back=1")
    link, _, nonce = address.partition("#nonce=")
    assert (code, link) == (303, "https://second.example/crew")
    value = bytes.fromhex(nonce)
    assert len(value) == 16
    clock.at_ms += DAY_MS
    assert nonces.drawn_at_ms(value, DEVICE) == START_S * 1000
    assert nonces.drawn_at_ms(value, bytes(32)) is None, "it is of another device"
    assert Nonces(bytes(32), clock).drawn_at_ms(value, DEVICE) is None, "it is of another gateway"
    for at in range(16):
        assert nonces.drawn_at_ms(value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :], DEVICE) is None
    assert nonces.drawn_at_ms(value[:-1], DEVICE) is None
    assert store.spend_nonce(value, b"v1")
    assert store.spend_nonce(value, b"v1"), "a visit that is judged again keeps it"
    assert not store.spend_nonce(value, b"v2")
    for query in ("back=2", "back=-1", "back=x", "back=https://evil.example", "back=99999999999999999999"):
        assert page.answer(path, query)[0] == 404
    assert page.answer("/presence/ffffffffffffffff", "back=0")[0] == 404
    store.close()


def test_nobody_who_draws_many_nonces_makes_the_gateway_forget_those_of_others(tmp_path: Path) -> None:
    store, nonces = PresenceStore(tmp_path / "presence.sqlite3"), Nonces(SECRET, Fixed(START_S * 1000))
    page = NoncePage(nonces, [DEVICE], ["https://minglou.example/crew"])
    first = nonces.draw(DEVICE)
    drawn = {page.answer(f"/presence/{DEVICE.hex()[:16]}", "")[1] for _ in range(200)}
    assert len(drawn) > 190, "those of one millisecond differ"
    assert nonces.drawn_at_ms(first, DEVICE) is not None
    assert store.spend_nonce(first, b"visit")
    store.close()


def test_no_clock_makes_guesses_or_spent_nonces_forgotten(tmp_path: Path) -> None:
    store, far_ms = PresenceStore(tmp_path / "presence.sqlite3"), 2_208_988_800_000
    store.note_guesses(KEYS[0], b"v1", 5, START_S * 1000)
    assert store.spend_nonce(b"n" * 16, b"v1")
    store.note_guesses(KEYS[1], b"v2", 1, far_ms)
    assert store.guesses(KEYS[0], START_S * 1000 + 1, but=b"v3") == 5
    assert not store.spend_nonce(b"n" * 16, b"v3")
    store.close()


# ---- the secret ----


def test_the_first_secret_of_a_display_stands_until_it_is_forgotten(tmp_path: Path) -> None:
    kept, display = DisplaySecrets(tmp_path), device_id(DISPLAY)
    (paired,) = kept.keep(display, SECRET)
    assert paired.quantity == "display.paired"
    nonce = bytes.fromhex(str(paired.detail["nonce"]))
    assert paired.detail["commitment"] == sha256(nonce + SECRET).hexdigest()
    assert [one.quantity for one in kept.keep(display, SECRET)] == ["display.paired"], "its answer may have been lost"
    assert [one.quantity for one in kept.keep(display, bytes(32))] == ["display.disputed"], "the log says so, once"
    with pytest.raises(MessageError, match="forget-display") as refused:
        kept.keep(display, bytes(32))
    assert bytes(32).hex() not in str(refused.value)
    assert kept.of(display) == SECRET
    assert kept.is_disputed(display)
    assert kept.forget(display, START_S * 1000)
    assert not kept.forget(display, START_S * 1000)
    assert kept.of(display) is None
    assert not kept.is_disputed(display)
    told = kept.keep(display, bytes(32))
    assert [one.quantity for one in told] == ["display.forgotten", "display.paired"]
    assert kept.of(display) == bytes(32)


@pytest.mark.parametrize("content", [b"", b"zz" * 32, b"ab" * 31, b"\xff" * 64])
def test_a_damaged_secret_is_named_and_takes_no_other_displays_word(tmp_path: Path, content: bytes) -> None:
    kept, display = DisplaySecrets(tmp_path), device_id(DISPLAY)
    kept.keep(display, SECRET)
    (file,) = (tmp_path / "presence").glob("*.secret")
    file.write_bytes(content)
    with pytest.raises(KeyFileError, match="forget-display"):
        kept.of(display)
    with pytest.raises(MessageError, match="forget-display"):
        kept.keep(display, bytes(32))
    assert kept.forget(display, START_S * 1000)
    assert kept.keep(display, bytes(32))


def test_a_display_behind_a_broker_or_beside_nothing_is_refused(tmp_path: Path) -> None:
    site = Site(directory=tmp_path)
    broker = '[[mqtt.broker]]\nname="house"\nurl="mqtts://broker:8883"\nclient_id="g"\n'
    table = f'[[device]]\nurn="{DISPLAY}"\nprofile="display-json"\ntopic="t/d1"\n'
    registers = Registers(LocalDays(ZoneInfo("Asia/Shanghai")))
    committer = cast(Committer, None)  # nobody records anything here
    for written, says in (
        (f'{table}mqtt="house"\nof=["{LIFT}"]\n', "a broker would pass it on"),
        (f'{table}mqtt="endpoint"\nusername="d1"\n', "stands beside one device"),
    ):
        site.tables = [broker]
        add_lift(site)
        site.tables.append(written)
        with pytest.raises(SettingsError, match=says):
            make_roster(read_settings(site.write()), registers, committer, bytes(32))
    site.tables[-1] = f'{table}mqtt="endpoint"\nusername="d1"\nof=["urn:minglou:site:b01:lift:l9"]\n'
    with pytest.raises(SettingsError, match="no \\[\\[device\\]\\] here"):
        read_settings(site.write())


# ---- the real process ----


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A lift with a display in its car and a machine room whose door has a reader."""
    site = Site(directory=tmp_path / "gateway")
    site.users |= {name: hash_password(PASSWORD) for name in ("d1", "door")}
    site.tables.append(
        f'[[device]]\nurn="{DISPLAY}"\nprofile="display-json"\nmqtt="endpoint"\ntopic="t/d1"\nusername="d1"\n'
        f'of=["{LIFT}"]\n'
        f'[[device]]\nurn="{DOOR}"\nprofile="access-controller-json"\nmqtt="endpoint"\ntopic="t/door"\n'
        f'username="door"\nof=["{LIFT}"]\n'
    )
    add_lift(site)
    site.tables.append('crew_urls=["https://minglou.example/crew"]\n')
    return site


@contextmanager
def display_of(site: Site, state_dir: Path) -> Iterator[Callable[[], str]]:
    """The real client of a display at the gateway's endpoint; gives what it shows now."""
    link = Link(name="d1", url=f"mqtt://127.0.0.1:{site.endpoint_port}", topic="t/d1", username="d1", password=PASSWORD)
    display = Display(
        DisplaySettings(link=link, base="https://minglou.example", code="4k7mq2xd90bz", report_seconds=60),
        ZoneInfo("Asia/Shanghai"), state_dir,
    )  # fmt: skip

    def now() -> str:
        display.step(int(time.time() * 1000))
        return display.shown(int(time.time() * 1000)) if display.is_paired else ""

    display.start(now_ms=int(time.time() * 1000), begin_ms=int(time.time() * 1000) - 4 * 3_600_000)
    try:
        yield now
    finally:
        display.stop()


def code_on(text: str) -> Moment:
    return parse_moment(parse_link(text).moment)


def mail(cloud: CloudStub, bundle: Bundle) -> None:
    body = bundle_to_json(bundle)
    cloud.mail.append({"number": len(cloud.mail) + 1, "kind": "visit", "body": body, "signature": None})


def judged(cloud: CloudStub, bundle: Bundle) -> dict[str, Any]:
    """The verdict's detail of a visit."""
    return wait_for_verdict(cloud, bundle.visit)[1]


def secret_files(site: Site, secret: bytes, process: Program) -> list[str]:
    """The gateway's files that hold the secret, as bytes or as hex."""
    forms = (secret, secret.hex().encode())
    kept = [path for path in site.directory.rglob("*") if path.is_file()]
    assert not any(form.decode("latin-1") in process.said() for form in forms)
    return [path.name for path in kept if any(form in path.read_bytes() for form in forms)]


def test_a_display_is_paired_and_its_code_proves_presence(site: Site, tmp_path: Path) -> None:
    """Pairing, codes, their repetition and guesses, with the real display's client and gateway."""
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        start_ms = started_ms(hours_ago=3)
        start_s = start_ms // 1000
        with site.running() as process, display_of(site, tmp_path / "display") as screen:
            wait_until(lambda: bool(screen()), seconds=30, what="the display is paired and has the time")
            secret = bytes.fromhex((tmp_path / "display" / "d1.secret").read_text())
            moment = code_on(screen())
            assert moment == Moment(moment.slot, token(secret, DEVICE, moment.slot))
            assert abs(moment.starts_at_s - time.time()) < 300
            publish(site, start_ms, is_visited=True)
            wait_until(
                lambda: bool(screen()) and len(cloud.of(ORIGIN, "display.slot")) > 200, seconds=30, what="reports"
            )

            # Only the display and the gateway know the secret; the log has a commitment to it.
            wait_until(lambda: bool(cloud.of(ORIGIN, "display.paired")), seconds=10, what="the pairing in the log")
            assert secret_files(site, secret, process) == [f"{device_id(DISPLAY).hex()[:32]}.secret"]
            assert len(draw_nonce(site)) == 16

            # What phones read an hour ago and hand in now; the manager did not go up.
            read = [(by, shown(start_s + after_s, secret)) for by, after_s in ((0, 30), (1, 90), (0, 2000))]
            crew = bundle_of(start_s, MECHANIC, OTHER, manager=MANAGER, codes=read)
            mail(cloud, crew)
            level, detail = wait_for_verdict(cloud, crew.visit)
            facts = detail["facts"]["presence"]
            assert facts["signers"] == ["confirmed", "confirmed", "not-seen"]
            assert (facts["slots"], facts["wrong"]) == ([code.slot for _, code in read], 0)
            assert (level, detail["verdict"]["presence"]) == (3, "confirmed")

            # The same codes in another visit of the same people, and in the hands of a third.
            mail(cloud, again := bundle_of(start_s, MECHANIC, OTHER, codes=read, salt=2))
            facts = judged(cloud, again)["facts"]["presence"]
            assert (facts["used"], facts["signers"]) == (3, ["not-seen", "not-seen"])
            mail(cloud, third := bundle_of(start_s, MANAGER, codes=read[:1], salt=3))
            assert judged(cloud, third)["verdict"]["presence"] == "confirmed"

        with site.running():  # what was spent stands in the log; what was guessed, beside it
            rng = random.Random(1)
            wild = [(0, Moment(read[0][1].slot + number, rng.randbytes(8))) for number in range(5)]
            mail(cloud, guess := bundle_of(start_s, MECHANIC, codes=wild, salt=4))
            detail = judged(cloud, guess)
            assert (detail["verdict"]["presence"], detail["facts"]["presence"]["wrong"]) == ("contradicted", 5)
            mail(cloud, more := bundle_of(start_s, MECHANIC, codes=[(0, shown(start_s + 300, secret))], salt=5))
            detail = judged(cloud, more)
            assert detail["verdict"]["presence"] == "not-seen", "guesses do not switch the display off"
            assert detail["facts"]["presence"]["limited"] is True
            mail(cloud, other := bundle_of(start_s, OTHER, codes=[(0, read[1][1])], salt=6))
            assert judged(cloud, other)["facts"]["presence"]["used"] == 1
        assert cloud.refusals == []


def draw_nonce(site: Site) -> bytes:
    """What a phone in the building's network is sent on with."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    address = f"http://127.0.0.1:{site.status_port}/presence/{DEVICE.hex()[:16]}?back=0"
    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.build_opener(Stay).open(address, timeout=60)
    assert answer.value.code == 303
    link, _, nonce = answer.value.headers["Location"].partition("#nonce=")
    answer.value.close()
    assert link == "https://minglou.example/crew"
    return bytes.fromhex(nonce)
