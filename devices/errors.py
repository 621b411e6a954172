"""Every error that this room raises. A peer's bytes cause these and no others."""


class DevicesError(Exception):
    """Something about a device, its profile or its messages is wrong; the message says what to do."""


class ProfileError(DevicesError):
    """A profile has a mistake; the message names file, line and remedy."""


class FrameError(DevicesError):
    """Bytes that are no frame of the protocol."""


class MeterError(DevicesError):
    """A well-formed frame whose content does not fit the profile or the standard."""


class MessageError(DevicesError):
    """An MQTT message that does not fit the profile."""


class AdvertisementError(DevicesError):
    """A BLE advertisement that does not fit the profile."""


class BuildingError(DevicesError):
    """The simulated building's settings or surroundings are wrong."""
