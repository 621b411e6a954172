"""BTHome v2 advertisements, decoded by bthome-ble and read by the rules of a profile.

bthome-ble gives floats that it rounded to the object's own decimals. Their shortest text is that exact decimal again,
so nothing is lost on the way to integers. A sensor repeats one advertisement many times: a repeat gives no reading.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from bthome_ble import BTHomeBluetoothDeviceData
from habluetooth import BluetoothServiceInfoBleak

from devices.bthome_profile import BthomeProfile, ObjectRule
from devices.errors import AdvertisementError
from devices.reading import Reading

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice

SERVICE_UUID = "0000fcd2-0000-1000-8000-00805f9b34fb"
SERVICE_DATA_BYTES_MAX = 255
BINDKEY_BYTES = 16
EXPONENT_MAX = 11
"""No sensor counts beyond this power of ten; in base units it stays below 2^63."""
SIGNAL_STRENGTH = "signal_strength"
BLE_DETAIL = {"source": "ble"}
"""Shared by all readings: details are never changed in place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advertisement:
    """What a scanner saw: service data by 128-bit UUID text, `received_at` in seconds of a monotonic clock."""

    address: str
    service_data: Mapping[str, bytes]
    rssi: int
    received_at: float
    name: str = ""


def advertisement_from_bleak(device: Any, data: Any, received_at: float) -> Advertisement:
    """From the two arguments of a bleak detection callback (BLEDevice, AdvertisementData)."""
    return Advertisement(
        address=str(device.address),
        service_data=data.service_data,
        rssi=int(data.rssi),
        received_at=received_at,
        name=str(data.local_name or ""),
    )


class BthomeDevice:
    """Reads the advertisements of one device; keeps its packet id, its replay counter and the last thing it said."""

    def __init__(self, profile: BthomeProfile, bindkey: bytes | None = None) -> None:
        if profile.is_encrypted and (bindkey is None or len(bindkey) != BINDKEY_BYTES):
            raise AdvertisementError(f"profile {profile.name} is encrypted; give its bind key of {BINDKEY_BYTES} bytes")
        self._profile = profile
        self._parser = BTHomeBluetoothDeviceData(bindkey=bindkey)
        self._last_said: bytes | None = None

    def decode(self, advertisement: Advertisement) -> tuple[Reading, ...]:
        """The readings of an advertisement; none for a repeat, or for one without BTHome data.

        Raises:
            AdvertisementError: undecodable, in the clear though encryption is due, or without the profile's objects.
        """
        said = advertisement.service_data.get(SERVICE_UUID)
        if said is None or said == self._last_said:
            return ()
        if not 2 <= len(said) <= SERVICE_DATA_BYTES_MAX:
            raise AdvertisementError(
                f"{advertisement.address}: {len(said)} bytes of BTHome data; 2 to 255 are possible"
            )
        numbers = self._numbers(advertisement)
        if not numbers:
            return ()
        readings = tuple(
            Reading(kind=rule.kind, quantity=rule.quantity, value=_value(rule, numbers[rule.name]), detail=BLE_DETAIL)
            for rule in self._profile.objects
            if rule.name in numbers
        )
        if not readings:
            raise AdvertisementError(
                f"{advertisement.address}: sends {', '.join(numbers)}, none of which profile {self._profile.name} maps"
            )
        self._last_said = said
        return readings

    def _numbers(self, advertisement: Advertisement) -> dict[str, int | float]:
        """The numbers of a fresh advertisement by bthome-ble's names; empty for an older or repeated packet."""
        parser = self._parser
        # bthome-ble keeps old values in its update, so that only values which this packet sets may be read.
        parser._sensor_values_updates.clear()
        parser._binary_sensor_values_updates.clear()
        try:
            update = parser.update(_service_info(advertisement))
        except (ValueError, TypeError, IndexError, OverflowError) as error:
            raise AdvertisementError(f"{advertisement.address}: BTHome data cannot be decoded: {error}") from error
        if self._profile.is_encrypted and (parser.downgrade_detected or parser.decryption_failed):
            raise AdvertisementError(f"{advertisement.address}: not encrypted under its bind key; check the key")
        numbers = {
            key.key: sensor.native_value
            for key, sensor in update.entity_values.items()
            if key.key != SIGNAL_STRENGTH and isinstance(sensor.native_value, int | float)
        }
        flags = {key.key: int(bool(flag.native_value)) for key, flag in update.binary_entity_values.items()}
        return {**numbers, **flags}


def _service_info(advertisement: Advertisement) -> BluetoothServiceInfoBleak:
    """The advertisement as bthome-ble wants it; it reads name, address, service data and time alone."""
    return BluetoothServiceInfoBleak(
        name=advertisement.name or advertisement.address,
        address=advertisement.address,
        rssi=advertisement.rssi,
        manufacturer_data={},
        service_data=dict(advertisement.service_data),
        service_uuids=[],
        source="minglou",
        device=cast("BLEDevice", None),
        advertisement=None,
        connectable=False,
        time=advertisement.received_at,
        tx_power=None,
        raw=None,
    )


def _value(rule: ObjectRule, number: float) -> int:
    """An object's number in the quantity's base unit; exact, or refused."""
    exact = Decimal(str(number))
    if not exact.is_finite() or exact.adjusted() > EXPONENT_MAX:
        raise AdvertisementError(f"{rule.name} is {number}; check the sensor")
    numerator, denominator = exact.as_integer_ratio()
    value, rest = divmod(numerator * rule.numerator, denominator * rule.denominator)
    if rest and not rule.is_rounded_down:
        raise AdvertisementError(
            f"{rule.name} is {number}: finer than {rule.quantity} is kept; set round_down or a unit"
        )
    return value
