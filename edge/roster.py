"""From the settings' devices to what the collectors need: profiles loaded, recorders made, everyone in his place."""

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from contracts.entry import Kind
from devices.credential import CredentialCommitter
from devices.dlt645.profile import Dlt645Profile
from devices.errors import DevicesError
from devices.mqtt_json import MqttJsonDevice
from devices.mqtt_profile import MqttJsonProfile
from devices.profile import Profile, load_profile
from devices.visit_rules import VisitRule
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
            _place(roster, device, profile, registers, committer, commit_credential)
        except DevicesError as error:
            raise SettingsError(f"[[device]] {device.urn}: {error}") from error
    return roster


def _place(
    roster: Roster, device: DeviceSettings, profile: Profile, registers: Registers, committer: Committer,
    commit_credential: CredentialCommitter,
) -> None:  # fmt: skip
    freezes = isinstance(profile, Dlt645Profile) and profile.daily_freeze is not None
    recorder = DeviceRecorder(device.urn, profile.limits, registers, committer, freezes=freezes)
    roster.recorders.append(recorder)
    if device.bus:
        _place_meter(roster, device, profile, recorder)
    elif device.mqtt:
        if not isinstance(profile, MqttJsonProfile):
            raise _mismatch(device, profile, "mqtt")
        recorder.know(Kind.READING, recorder.cumulative)
        decoder = MqttJsonDevice(profile, device.topic, commit_credential=commit_credential)
        entry = MqttDevice(device.username, device.topic, decoder, recorder)
        if profile.visit_rules:
            roster.visit_rules[recorder.device] = profile.visit_rules
        roster.mqtt.setdefault(device.mqtt, []).append(entry)
    else:
        _place_sensor(roster, device, profile, recorder)


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
