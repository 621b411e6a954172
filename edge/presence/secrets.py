"""The secrets of display nodes: each is made on its display, told to its gateway once, and written nowhere else.

A display publishes its secret on `TOPIC/secret` at the gateway's own endpoint until that is acknowledged, which happens
after its file is on the disk. The first secret of a display stands: another one is refused until somebody at the
gateway forgets the display (`minglou edge forget-display`). What the log gets of it is a commitment. The secret of a
forgotten display stays for the time in which it counted: visits of then may still wait in phones.
"""

import logging
import os
import secrets
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from contracts.entry import Kind
from contracts.quantities import DISPLAY_DISPUTED, DISPLAY_FORGOTTEN, DISPLAY_PAIRED
from contracts.rotating import SECRET_BYTES
from devices.errors import MessageError
from devices.mqtt_json import Message, MqttJsonDevice
from devices.mqtt_profile import MqttJsonProfile
from devices.reading import Reading
from edge.errors import KeyFileError
from edge.keys import read_secret, write_secret

OLD_MAX = 4  # secrets of displays that stood there before
_HEX = frozenset(b"0123456789abcdef")
_log = logging.getLogger("edge.presence")


class DisplaySecrets:
    """The files `presence/DISPLAY.secret` of one gateway's data directory, which only its owner can read."""

    def __init__(self, data_dir: Path) -> None:
        self._directory = data_dir / "presence"

    def of(self, display: bytes) -> bytes | None:
        """The secret of a display, None before it is paired.

        Args:
            display: SHA-256 of its URN.

        Raises:
            KeyFileError: others may read its file, or it is damaged.
        """
        path = self._path(display, "secret")
        if not path.exists():
            return None
        secret = _read(path)
        if secret is not None:
            return secret
        raise KeyFileError(f"{path}: holds no display's secret; run `minglou edge forget-display` and restart it")

    def old_of(self, display: bytes) -> list[tuple[bytes, int]]:
        """The secrets of displays that were forgotten in its place, each with the time (ms) up to which it counted."""
        found = []
        for path in self._directory.glob(self._path(display, "*.old").name):
            until = path.name.split(".")[1]
            with suppress(KeyFileError):
                secret = _read(path)
                if secret is not None and until.isdecimal():
                    found.append((secret, int(until)))
        return found

    def keep(self, display: bytes, secret: bytes) -> tuple[Reading, ...]:
        """Write down a display's secret; what the log is to say of it.

        The same secret again says the same again: a display whose acknowledgement was lost repeats itself.

        Raises:
            MessageError: another secret stands, and that was told before.
        """
        try:
            standing = self.of(display)
        except KeyFileError as error:
            raise MessageError(str(error)) from error
        if standing is not None and not secrets.compare_digest(standing, secret):
            return self._disputed(display)
        if standing is None:
            write_secret(self._path(display, "secret"), secret.hex().encode() + b"\n")
            _sync(self._directory)
        forgotten = self._path(display, "forgotten")
        nonce = os.urandom(16)
        detail = {"commitment": sha256(nonce + secret).hexdigest(), "nonce": nonce.hex()}
        paired = Reading(Kind.STATUS, DISPLAY_PAIRED, 1, None, None, detail)
        if standing is not None or not forgotten.exists():
            return (paired,)
        forgotten.unlink()
        return Reading(Kind.STATUS, DISPLAY_FORGOTTEN, 1), paired

    def _disputed(self, display: bytes) -> tuple[Reading, ...]:
        """Another display speaks in the name of the paired one: the log says so once."""
        says = "a display is paired here already; if it was replaced, run `minglou edge forget-display` and restart it"
        if self.is_disputed(display):
            raise MessageError(says)
        self._path(display, "disputed").touch(mode=0o600)
        _log.error("display %s…: %s", display.hex()[:16], says)
        return (Reading(Kind.STATUS, DISPLAY_DISPUTED, 1),)

    def is_disputed(self, display: bytes) -> bool:
        """Whether another display told a secret in this one's name: then what fits neither is nobody's fault."""
        return self._path(display, "disputed").exists()

    def forget(self, display: bytes, now_ms: int) -> bool:
        """Let another display be paired in its place; whether there was one."""
        path = self._path(display, "secret")
        if not path.exists():
            return False
        self._path(display, "forgotten").touch(mode=0o600)
        path.rename(self._path(display, f"{now_ms}.old"))
        self._path(display, "disputed").unlink(missing_ok=True)
        old = sorted(self._directory.glob(self._path(display, "*.old").name), key=lambda one: one.stat().st_mtime_ns)
        for path in old[:-OLD_MAX]:
            path.unlink()
        _sync(self._directory)
        return True

    def _path(self, display: bytes, kind: str) -> Path:
        return self._directory / f"{display.hex()[:32]}.{kind}"


class PairedDisplay(MqttJsonDevice):
    """Reads a display's messages; its secret never gets further than the file."""

    __slots__ = ("_display", "_secret_topic", "_secrets")

    def __init__(self, profile: MqttJsonProfile, topic: str, display: bytes, kept: DisplaySecrets) -> None:
        super().__init__(profile, topic)
        self._display = display
        self._secrets = kept
        self._secret_topic = profile.pairing_topic.replace("{topic}", topic)
        self.topics = (*self.topics, self._secret_topic)

    def decode(self, topic: str, payload: bytes) -> Message:
        """As any device's message; a secret is kept, and told as `display.paired`. Raises `MessageError`."""
        if topic != self._secret_topic:
            return super().decode(topic, payload)
        if len(payload) != 2 * SECRET_BYTES or not _HEX.issuperset(payload):
            # What was sent is not repeated in the error: it may be a secret with a space behind it.
            raise MessageError(f"a display's secret is {SECRET_BYTES} bytes as lower-case hex; check its firmware")
        return Message(None, self._secrets.keep(self._display, bytes.fromhex(payload.decode())))


def _read(path: Path) -> bytes | None:
    """The secret in a file, None where it holds none. Raises `KeyFileError` where others may read it."""
    content = read_secret(path).strip()
    is_whole = len(content) == 2 * SECRET_BYTES and _HEX.issuperset(content)
    return bytes.fromhex(content.decode()) if is_whole else None


def _sync(directory: Path) -> None:
    """A new or removed name is on the disk only when its directory is."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
