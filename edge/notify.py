"""systemd's notify protocol without a library: ready, watchdog, stopping. Silent where systemd does not listen.

Source: sd_notify(3).
"""

import os
import socket


class Notifier:
    """Sends states to the socket that systemd named, if it named one."""

    def __init__(self, environment: "os._Environ[str] | dict[str, str]") -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        microseconds = environment.get("WATCHDOG_USEC", "")
        self.watchdog_seconds = int(microseconds) / 1_000_000 if microseconds.isdecimal() else None

    def ready(self, says: str) -> None:
        self._send(f"READY=1\nSTATUS={says}")

    def alive(self) -> None:
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            try:
                sender.sendto(state.encode(), self._address)
            except OSError:
                return  # the supervisor is gone; nothing can be told
