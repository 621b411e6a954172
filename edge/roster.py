"""From the settings' devices to what the collectors need: profiles loaded, recorders made, everyone in his place."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.entry import Kind, device_id
from devices.credential import CredentialCommitter
from devices.dlt645.profile import Dlt645Profile
from devices.errors import DevicesError
from devices.gateway_profile import GatewayProfile
from devices.mqtt_json import MqttJsonDevice
from devices.mqtt_profile import MqttJsonProfile
from devices.profile import Profile, load_profile
from devices.visit_rules import KNOWN, VisitRule
from devices.watch_rules import WatchRule
from edge.committer import Committer
from edge.errors import SettingsError
from edge.mqtt.ingest import MqttDevice
from edge.recorder import DeviceRecorder
from edge.registers import Registers
from edge.settings import DeviceSettings, Settings

if TYPE_CHECKING:
    from edge.ble.collector import BleSensor
    from edge.bus.collector import Meter


@dataclass(slots=True)
class Roster:
    """Every device, by how it is reached."""

    recorders: list[DeviceRecorder] = field(default_factory=list)
    mqtt: dict[str, list[MqttDevice]] = field(default_factory=dict)  # "endpoint" or a broker's name
    meters: "dict[str, list[tuple[Meter, int]]]" = field(default_factory=dict)  # bus -> meter, poll interval in s
    sensors: "dict[str, BleSensor]" = field(default_factory=dict)  # BLE address
    visit_rules: dict[bytes, tuple[VisitRule, ...]] = field(default_factory=dict)  # devices that can testify to visits
    watch_rules: dict[bytes, tuple[WatchRule, ...]] = field(default_factory=dict)
    displays: dict[bytes, list[bytes]] = field(default_factory=dict)  # beside each device, by what they serve
    doors: dict[bytes, list[bytes]] = field(default_factory=dict)


def make_roster(settings: Settings, registers: Registers, committer: Committer, credential_secret: bytes) -> Roster:
    """Load each device's profile and put it to its collector.

    Raises:
        SettingsError: a profile is unknown, broken, or for another kind of line.
    """
    roster, profiles = Roster(), dict[str, Profile]()
    commit_credential = CredentialCommitter(secret=credential_secret, new_nonce=os.urandom)
    for device in settings.devices:
        try:
            profile = profiles.get(device.profile) or profiles.setdefault(device.profile, load_profile(device.profile))
            _place(roster, device, profile, registers, committer, commit_credential, settings)
        except DevicesError as error:
            raise SettingsError(f"[[device]] {device.urn}: {error}") from error
    if settings.maintenance_contract:
        own = load_profile("gateway")
        assert isinstance(own, GatewayProfile)
        roster.visit_rules[device_id(settings.urn)] = own.visit_rules
    return roster


def _place(
    roster: Roster, device: DeviceSettings, profile: Profile, registers: Registers, committer: Committer,
    commit_credential: CredentialCommitter, settings: Settings,
) -> None:  # fmt: skip
    freezes = isinstance(profile, Dlt645Profile) and profile.daily_freeze is not None
    recorder = DeviceRecorder(device.urn, profile.limits, registers, committer, freezes=freezes, is_spare=device.spare)
    roster.recorders.append(recorder)
    rules = _fitted(device, profile.visit_rules)
    if rules:
        roster.visit_rules[recorder.device] = rules
    if device.bus:
        _place_meter(roster, device, profile, recorder)
    elif device.mqtt:
        if not isinstance(profile, MqttJsonProfile):
            raise _mismatch(device, profile, "mqtt")
        recorder.know(Kind.READING, recorder.cumulative)
        if profile.pairing_topic:
            decoder = _paired_display(device, profile, recorder.device, settings.data_dir)
        else:
            decoder = MqttJsonDevice(profile, device.topic, commit_credential=commit_credential)
        beside = roster.displays if profile.pairing_topic else roster.doors
        for served in device.of:
            beside.setdefault(device_id(served), []).append(recorder.device)
        if settings.crew_cards_file is not None and any(rule.by == KNOWN for rule in profile.visit_rules):
            roster.doors.setdefault(recorder.device, []).append(recorder.device)  # whose card opens it stands at it
        entry = MqttDevice(device.username, device.topic, decoder, recorder)
        if profile.watch_rules:
            roster.watch_rules[recorder.device] = profile.watch_rules
        roster.mqtt.setdefault(device.mqtt, []).append(entry)
    else:
        _place_sensor(roster, device, profile, recorder)


def _fitted(device: DeviceSettings, rules: tuple[VisitRule, ...]) -> tuple[VisitRule, ...]:
    """The rules of what this device has: a list that calls the rest absent is not held against its crew."""
    unknown = set(device.without) - {rule.item for rule in rules}
    if unknown:
        known = ", ".join(rule.item for rule in rules)
        raise SettingsError(f"[[device]] {device.urn}: without names {sorted(unknown)}; its profile has {known}")
    return tuple(rule for rule in rules if rule.item not in device.without)


def _paired_display(device: DeviceSettings, profile: MqttJsonProfile, display: bytes, data_dir: Path) -> MqttJsonDevice:
    from edge.presence import DisplaySecrets, PairedDisplay  # only where there is a display

    if device.mqtt != "endpoint":
        raise SettingsError(
            f"[[device]] {device.urn}: a display tells its secret to the gateway alone, and a broker would pass it on; "
            'write mqtt="endpoint"'
        )
    if len(device.of) != 1:
        raise SettingsError(f'[[device]] {device.urn}: a display stands beside one device; write of=["its URN"]')
    return PairedDisplay(profile, device.topic, display, DisplaySecrets(data_dir))


def _place_meter(roster: Roster, device: DeviceSettings, profile: Profile, recorder: DeviceRecorder) -> None:
    from edge.bus.collector import Meter  # pyserial only where there is a bus

    if not isinstance(profile, Dlt645Profile):
        raise _mismatch(device, profile, "bus")
    meter = Meter(profile, device.address, recorder)
    roster.meters.setdefault(device.bus, []).append((meter, device.poll_seconds or profile.poll_seconds))


def _place_sensor(roster: Roster, device: DeviceSettings, profile: Profile, recorder: DeviceRecorder) -> None:
    from devices.bthome import BthomeDevice  # bleak and bthome-ble only where there is a sensor
    from devices.bthome_profile import BthomeProfile
    from edge.ble.collector import BleSensor

    if not isinstance(profile, BthomeProfile):
        raise _mismatch(device, profile, "ble_address")
    roster.sensors[device.ble_address] = BleSensor(BthomeDevice(profile), recorder)


def _mismatch(device: DeviceSettings, profile: Profile, line: str) -> SettingsError:
    return SettingsError(
        f"[[device]] {device.urn}: profile {device.profile!r} speaks {profile.protocol}, which {line!r} does not carry"
    )
