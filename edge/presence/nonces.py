"""The nonce of the building's own network: whoever draws one was there, or on a line into it, at that time.

A phone opens the gateway's page in its browser (an https page may not fetch from http, but may be left for it); the
answer sends it on to the crew's page with the nonce behind the #. Only addresses in the settings are sent on to. A
nonce carries its time under the gateway's own seal, so that nothing is remembered of it until a visit brings it: nobody
who draws many can make the gateway forget those of others.
"""

import hmac
import os
from collections.abc import Callable, Collection, Sequence
from urllib.parse import parse_qs

from contracts.clock import Clock

PREFIX = "/presence/"
NONCE_BYTES = 16
_TIME_BYTES, _SALT_BYTES, _SEAL_BYTES = 6, 2, 8
_TAG = b"minglou/nonce/1".ljust(32, b"\0")


class Nonces:
    """Makes nonces and knows them again: 6 bytes of time (ms), 2 of salt, 8 of HMAC-SHA256 over them and the device."""

    def __init__(self, secret: bytes, clock: Clock, new_salt: Callable[[int], bytes] = os.urandom) -> None:
        """`secret`: any that is the gateway's alone."""
        self._key = hmac.digest(secret, _TAG, "sha256")
        self._clock = clock
        self._new_salt = new_salt

    def draw(self, device: bytes) -> bytes:
        """A nonce for a visit of the device, good for now."""
        head = self._clock.now_ms().to_bytes(_TIME_BYTES) + self._new_salt(_SALT_BYTES)
        return head + self._seal(head, device)

    def drawn_at_ms(self, nonce: bytes, device: bytes) -> int | None:
        """When a nonce was drawn for the device; None for one that this gateway never gave out for it."""
        head = nonce[:-_SEAL_BYTES]
        is_ours = len(nonce) == NONCE_BYTES and hmac.compare_digest(nonce[-_SEAL_BYTES:], self._seal(head, device))
        return int.from_bytes(head[:_TIME_BYTES]) if is_ours else None

    def _seal(self, head: bytes, device: bytes) -> bytes:
        return hmac.digest(self._key, device + head, "sha256")[:_SEAL_BYTES]


class NoncePage:
    """Answers `GET /presence/DEVICE?back=N`: DEVICE is the first 8 bytes of the device's hash in hex."""

    def __init__(self, nonces: Nonces, devices: Collection[bytes], crew_urls: Sequence[str]) -> None:
        self._nonces = nonces
        self._devices = {device.hex()[:16]: device for device in devices}
        self._crew_urls = tuple(crew_urls)

    def answer(self, path: str, query: str) -> tuple[int, str]:
        """The status; for 303 the address to go on to, for others what to say."""
        device = self._devices.get(path.removeprefix(PREFIX))
        if device is None:
            return 404, "no device of this gateway has that number; scan its label again\n"
        asked = parse_qs(query).get("back", ["0"])[0]
        if not asked.isascii() or not asked.isdecimal() or int(asked[:4]) >= len(self._crew_urls):
            return 404, f"write ?back= and a number below {len(self._crew_urls)}: which crew page to go back to\n"
        return 303, f"{self._crew_urls[int(asked[:4])]}#nonce={self._nonces.draw(device).hex()}"
