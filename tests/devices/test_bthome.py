"""BTHome v2: the published example, pulses as cumulative counts, repeats, encryption, and damaged advertisements."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from hypothesis import given
from hypothesis import strategies as st

from contracts.entry import Kind
from devices.bthome import SERVICE_UUID, Advertisement, BthomeDevice
from devices.bthome_profile import BthomeProfile
from devices.errors import AdvertisementError
from devices.profile import SHIPPED, load_profile
from devices.reading import Reading

ADDRESS = "54:48:E6:8F:80:A5"
# The specification's own encryption example (bthome.io/encryption): this key, address, counter and plain text.
BINDKEY = bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932")
PUBLISHED_ENCRYPTED = "41a47266c95f730011223378237214"
PUBLISHED_PLAIN = "4002ca0903bf13"  # bthome.io/format: temperature 25.06 °C, humidity 50.55 %


def profile(name_or_path: str | Path) -> BthomeProfile:
    loaded = load_profile(name_or_path)
    assert isinstance(loaded, BthomeProfile)
    return loaded


def climate(tmp_path: Path, *, encrypted: bool) -> BthomeProfile:
    path = tmp_path / "climate.toml"
    path.write_text(
        'format = "minglou-profile/1"\nname = "climate"\nprotocol = "bthome"\n'
        'title = "t"\nsource = "s"\nverified = true\n'
        f"encrypted = {str(encrypted).lower()}\n"
        '[[object]]\nname = "temperature"\nkind = "status"\nquantity = "climate.temperature"\nfactor = "100"\n'
        '[[object]]\nname = "humidity"\nkind = "status"\nquantity = "climate.humidity"\nfactor = "100"\n'
    )
    return profile(path)


def heard(service_data: str, at: float = 0.0) -> Advertisement:
    return Advertisement(
        address=ADDRESS, service_data={SERVICE_UUID: bytes.fromhex(service_data)}, rssi=-50, received_at=at
    )


def values(readings: tuple[Reading, ...]) -> list[int]:
    return [reading.value for reading in readings]


def test_the_published_example_is_read(tmp_path: Path) -> None:
    assert values(BthomeDevice(climate(tmp_path, encrypted=False)).decode(heard(PUBLISHED_PLAIN))) == [2506, 5055]


def test_the_published_encrypted_example_is_read(tmp_path: Path) -> None:
    device = BthomeDevice(climate(tmp_path, encrypted=True), BINDKEY)
    assert values(device.decode(heard(PUBLISHED_ENCRYPTED))) == [2506, 5055]


def test_a_pulse_is_a_litre_in_millilitres() -> None:
    (reading,) = BthomeDevice(profile("bthome-water-pulse")).decode(heard("40000a3e10270000"))
    assert reading == Reading(kind=Kind.READING, quantity="8-0:1.0.0", value=10_000_000, detail={"source": "ble"})


def test_a_meters_own_register_keeps_its_millilitres() -> None:
    # bthome.io/format, object 0x4F: 87562A01 is 19551.879 L.
    assert values(BthomeDevice(profile("bthome-water-volume")).decode(heard("404f87562a01"))) == [19_551_879]


def test_a_repeat_gives_nothing_and_a_new_packet_of_the_same_count_does() -> None:
    device = BthomeDevice(profile("bthome-water-pulse"))
    assert device.decode(heard("40000a3e10270000", 0.0))
    assert device.decode(heard("40000a3e10270000", 0.5)) == ()
    assert device.decode(heard("40000a3e10270000", 60.0)) == ()
    assert values(device.decode(heard("40000b3e10270000", 61.0))) == [10_000_000]


def test_an_older_packet_that_comes_late_gives_nothing() -> None:
    device = BthomeDevice(profile("bthome-water-pulse"))
    assert device.decode(heard("40000b3e11270000", 0.0))
    assert device.decode(heard("40000a3e10270000", 0.2)) == ()
    assert values(device.decode(heard("40000c3e12270000", 0.4))) == [10_002_000]


def test_other_service_data_is_nobodys_business() -> None:
    advertisement = Advertisement(address=ADDRESS, service_data={"other": b"\x40"}, rssi=0, received_at=0.0)
    assert BthomeDevice(profile("bthome-water-pulse")).decode(advertisement) == ()


def test_an_advertisement_without_the_profiles_objects_is_an_error() -> None:
    with pytest.raises(AdvertisementError, match="sends temperature, humidity, none of which profile"):
        BthomeDevice(profile("bthome-water-pulse")).decode(heard(PUBLISHED_PLAIN))


def test_an_encrypted_device_is_not_believed_in_the_clear(tmp_path: Path) -> None:
    device = BthomeDevice(climate(tmp_path, encrypted=True), BINDKEY)
    assert device.decode(heard(PUBLISHED_ENCRYPTED))
    with pytest.raises(AdvertisementError, match="not encrypted under its bind key"):
        device.decode(heard(PUBLISHED_PLAIN, 10.0))


def test_another_key_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AdvertisementError, match="check the key"):
        BthomeDevice(climate(tmp_path, encrypted=True), bytes(16)).decode(heard(PUBLISHED_ENCRYPTED))


def test_an_encrypted_profile_needs_a_key(tmp_path: Path) -> None:
    with pytest.raises(AdvertisementError, match="give its bind key of 16 bytes"):
        BthomeDevice(climate(tmp_path, encrypted=True))


def test_a_replayed_counter_gives_nothing(tmp_path: Path) -> None:
    device = BthomeDevice(climate(tmp_path, encrypted=True), BINDKEY)

    def encrypted(counter: int, plain: str) -> str:
        counter_bytes = counter.to_bytes(4, "little")
        nonce = bytes.fromhex(ADDRESS.replace(":", "")) + b"\xd2\xfc\x41" + counter_bytes
        cipher = AESCCM(BINDKEY, tag_length=4).encrypt(nonce, bytes.fromhex(plain), None)
        return (b"\x41" + cipher[:-4] + counter_bytes + cipher[-4:]).hex()

    assert values(device.decode(heard(encrypted(2000, "02ca0903bf13"), 0.0))) == [2506, 5055]
    assert device.decode(heard(encrypted(1000, "02000003bf13"), 10.0)) == ()
    assert values(device.decode(heard(encrypted(2001, "02cb0903bf13"), 20.0))) == [2507, 5055]


@given(st.binary(max_size=40))
def test_no_advertisement_does_more_than_be_refused(service_data: bytes) -> None:
    device = BthomeDevice(profile("bthome-water-pulse"))
    try:
        readings = device.decode(heard(service_data.hex()))
    except AdvertisementError:
        return
    assert all(type(reading.value) is int for reading in readings)


@given(st.integers(0, 7), st.integers(0, 255))
def test_a_damaged_pulse_is_refused_or_another_count(index: int, byte: int) -> None:
    damaged = bytearray.fromhex("40000a3e10270000")
    damaged[index] = byte
    try:
        readings = BthomeDevice(profile("bthome-water-pulse")).decode(heard(damaged.hex()))
    except AdvertisementError:
        return
    assert all(reading.quantity == "8-0:1.0.0" and reading.value >= 0 for reading in readings)


def test_every_shipped_bthome_profile_is_tested_here() -> None:
    names = {path.stem for path in SHIPPED.glob("bthome-*.toml")}
    assert names == {"bthome-water-pulse", "bthome-water-volume"}
