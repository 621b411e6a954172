"""What a gateway concludes of a machine that nobody visits: said once, taken back once, never of what is over."""

import json
import time
from pathlib import Path

import pytest

from contracts.entry import Entry
from devices.errors import ProfileError
from devices.mqtt_profile import MqttJsonProfile
from devices.profile import SHIPPED, load_profile
from edge.credentials import hash_password
from edge.watch import conclude
from tests.edge.cloud_stub import CloudStub
from tests.edge.mqtt_device import Device
from tests.edge.site import ORIGIN, PASSWORD, Site
from tests.processes import wait_until
from tests.visits import CONTRACT, LIFT, mailed, signed, visit_of

NOW_MS = 1_763_000_000_000
MINUTE_MS = 60_000
_profile = load_profile("lift-monitor-json")
assert isinstance(_profile, MqttJsonProfile)
STOPPED, ENTRAPPED = _profile.watch_rules
NORMAL, INSPECTION, FAULT, OUT = 0, 1, 3, 4


def ago(*told: tuple[int, int]) -> list[tuple[int, int]]:
    return [(NOW_MS - minutes * MINUTE_MS, value) for minutes, value in told]


@pytest.mark.parametrize(
    ("track", "concluded"),
    [
        (ago((90, NORMAL), (31, FAULT)), (1, NOW_MS - 31 * MINUTE_MS)),
        (ago((90, NORMAL), (29, FAULT)), None),
        (ago((90, NORMAL), (40, FAULT), (20, OUT), (10, FAULT)), (1, NOW_MS - 40 * MINUTE_MS)),
        (ago((90, FAULT), (10, INSPECTION)), None),  # somebody works on it: the word that was said stands
        (ago((90, FAULT), (40, INSPECTION), (10, OUT)), None),
        (ago((90, FAULT), (1, NORMAL)), (0, NOW_MS - MINUTE_MS)),
        (ago((200, FAULT)), None),  # silent for over three hours: nobody knows
        ([], None),
    ],
)
def test_a_lift_is_stopped_once_a_faulty_code_has_stood_for_half_an_hour(
    track: list[tuple[int, int]], concluded: tuple[int, int] | None
) -> None:
    assert conclude(STOPPED, track, NOW_MS) == concluded


def test_a_trapped_passenger_is_told_after_half_a_minute() -> None:
    assert conclude(ENTRAPPED, [(NOW_MS - 29_000, 1)], NOW_MS) is None
    assert conclude(ENTRAPPED, [(NOW_MS - 30_000, 1)], NOW_MS) == (1, NOW_MS - 30_000)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('says = "lift.stopped"', 'says = "lift.mode"', "another name"),
        ('sound = ["no"]', 'sound = ["yes"]', "faulty too"),
        ('faulty = ["yes"]', 'faulty = ["perhaps"]', "some of the quantity's codes"),
        ('quantity = "lift.trapped"\nfaulty', 'quantity = "lift.trips"\nfaulty', "no quantity with codes"),
    ],
)
def test_a_mistake_in_a_watch_rule_is_named(tmp_path: Path, before: str, after: str, says: str) -> None:
    text = (SHIPPED / "lift-monitor-json.toml").read_text(encoding="utf-8")
    assert before in text
    (tmp_path / "lift-monitor-json.toml").write_text(text.replace(before, after), encoding="utf-8")
    with pytest.raises(ProfileError, match=r"lift-monitor-json.toml:[0-9]+: ") as caught:
        load_profile(tmp_path / "lift-monitor-json.toml")
    assert says in str(caught.value)


def test_the_gateway_logs_an_entrapment_once_and_its_end_once_over_a_kill(tmp_path: Path) -> None:
    site = Site(directory=tmp_path / "gateway")
    site.users["l1"] = hash_password(PASSWORD)
    site.tables.append(
        f'[[device]]\nurn="{LIFT}"\nprofile="lift-monitor-json"\nmqtt="endpoint"\ntopic="t/l1"\nusername="l1"\n'
        f'[maintenance]\ncontract="{CONTRACT}"\n'
    )

    def tell(number: int, seconds_ago: float, trapped: str) -> None:
        lift = Device(site.endpoint_port, "l1")
        told = {"seq": number, "ts": int((time.time() - seconds_ago) * 1000), "mode": "fault", "trapped": trapped}
        assert lift.publish_and_wait("t/l1", json.dumps(told).encode(), number)[0] == 0x40
        lift.close()

    def said(cloud: CloudStub) -> list[Entry]:
        return cloud.of(ORIGIN, "lift.entrapment")

    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        # As long as a visit waits for its machine, the gateway looks through its log without a rest.
        cloud.mail = [mailed(1, signed(visit_of(int(time.time()) - 1800)))]
        with site.running() as process:
            tell(1, 120, "yes")
            wait_until(lambda: bool(said(cloud)), seconds=60, what="the entrapment")
            process.kill()
            site.restart(process)
            tell(2, 0, "no")
            wait_until(lambda: len(said(cloud)) > 1, seconds=60, what="its end")
        assert [one.value for one in said(cloud)] == [1, 0]
        (at,) = [at for at, one in enumerate(cloud.log(ORIGIN).entries) if one is said(cloud)[0]]
        assert cloud.log(ORIGIN).fields(at)["of"] == "lift.trapped"
        assert cloud.refusals == []
