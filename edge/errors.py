"""Every error of the gateway. A message names the thing and the values and says what to do."""


class EdgeError(Exception):
    """Something on the gateway is not as it must be."""


class SettingsError(EdgeError):
    """The configuration file does not describe a gateway; the message names file, line, key and remedy."""


class CredentialError(EdgeError):
    """A stored device credential is not in the form that `hash_password` writes."""


class PacketError(EdgeError):
    """A peer's bytes are not MQTT as the endpoint speaks it; the connection is closed with `reason`."""

    def __init__(self, message: str, *, reason: int = 0x81) -> None:
        super().__init__(message)
        self.reason = reason


class StoreError(EdgeError):
    """The log's database cannot be read or written."""


class StoreBrokenError(StoreError):
    """The log's database contradicts itself: it must be set aside and a new epoch opened."""


class StoreFullError(StoreError):
    """The disk has no room for the next entries; nothing is acknowledged until it has."""


class KeyFileError(EdgeError):
    """The gateway's key cannot be read, or others can read it too."""


class SigningError(EdgeError):
    """A signature would contradict one that this key may already have made."""


class UplinkError(EdgeError):
    """The cloud did not answer, or not as agreed."""


class CollectorError(EdgeError):
    """A port, an adapter or a broker failed; its collector is started again after a while."""


class VisitRefusedError(EdgeError):
    """A visit that this gateway does not judge."""
