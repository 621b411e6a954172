"""A serial port through pyserial: opened by its path each time, closed at the first error."""

import select
import termios
import time
from pathlib import Path

import serial

from edge.errors import CollectorError
from edge.settings import SerialSettings

_CHUNK = 4096
_WRITE_SECONDS = 5.0
_PARITIES = {"none": serial.PARITY_NONE, "even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD}


class Port:
    """An open port. Every fault becomes a `CollectorError`; then close it and open the path again.

    An unplugged adapter that is kept open comes back under another name, so it must be closed at once.
    """

    def __init__(self, settings: SerialSettings) -> None:
        path = str(Path(settings.port).resolve()) if Path(settings.port).is_symlink() else settings.port
        self._name = settings.port
        # A pseudo-terminal has no wire and so no parity; the C library refuses the second attempt to set one.
        parity = "none" if path.startswith("/dev/pts/") else settings.parity
        try:
            self._port = serial.Serial(
                path, settings.baud, parity=_PARITIES[parity], timeout=0, write_timeout=_WRITE_SECONDS,
                exclusive=True,
            )  # fmt: skip
        except (OSError, ValueError, termios.error) as error:
            raise CollectorError(f"serial port {self._name}: {error}; check the cable and the path") from error

    def close(self) -> None:
        try:
            self._port.close()
        except (OSError, termios.error):
            return  # it is gone already

    def write(self, content: bytes) -> None:
        try:
            self._port.write(content)
        except (OSError, termios.error) as error:
            raise CollectorError(f"serial port {self._name}: {error}; was it unplugged?") from error

    def read(self, deadline: float) -> bytes:
        """What has come, waiting for it until a monotonic time; empty when nothing came."""
        try:
            wait = max(0.0, deadline - time.monotonic())
            readable, _, _ = select.select([self._port.fileno()], [], [], wait)
            if not readable:
                return b""
            content = self._port.read(_CHUNK)
        except (OSError, ValueError, TypeError, termios.error) as error:
            raise CollectorError(f"serial port {self._name}: {error}; was it unplugged?") from error
        if not content:
            raise CollectorError(f"serial port {self._name}: hung up; was it unplugged?")
        return bytes(content)
