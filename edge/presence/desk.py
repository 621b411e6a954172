"""The gateway's evidence of who stood at a device, brought together for one visit at a time."""

import logging
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from contracts.clock import Clock
from contracts.quantities import CLOCK_STEP
from contracts.rotating import SLOT_S
from edge.errors import KeyFileError
from edge.presence.codes import GUESSES_MAX, Evidence, Signers, find_codes
from edge.presence.nonces import NoncePage, Nonces
from edge.presence.secrets import DisplaySecrets
from edge.presence.store import PresenceStore
from edge.visits.doors import person_number
from edge.visits.finding import PresenceFinding
from edge.visits.judge import window_of
from edge.visits.sightings import ACCESS_GRANTED, DISPLAY_SLOT, Sightings

if TYPE_CHECKING:
    from contracts.bundle import Bundle
    from contracts.visit import Visit

HEARD_GAP_MS = 12 * 60_000  # displays report every five minutes; one report may be lost
_SLOT_MS = SLOT_S * 1000
_STEP_MIN_MS = 30_000  # a clock that was set by less leaves the slots as they are
_STEP_FORGOTTEN_MS = 3_600_000
_log = logging.getLogger("edge.presence")


class PresenceDesk:
    """Judges presence proofs. Use from one thread at a time."""

    def __init__(
        self, *, gateway: bytes, displays: Mapping[bytes, Sequence[bytes]], doors: Mapping[bytes, Sequence[bytes]],
        secrets: DisplaySecrets, nonces: Nonces, store: PresenceStore, sightings: Sightings, clock: Clock,
    ) -> None:  # fmt: skip
        """`displays` and `doors`: those beside each device, all as hashes of their URNs."""
        self._gateway = gateway
        self._displays = displays
        self._doors = doors
        self._secrets = secrets
        self._nonces = nonces
        self._store = store
        self._sightings = sightings
        self._clock = clock

    def find(self, bundle: "Bundle") -> PresenceFinding:
        """What the presence of a visit's people is worth; remembers wrong codes, as its verdict does right ones."""
        visit = bundle.visit
        digest, now_ms = visit.digest(), self._clock.now_ms()
        keys = [one.signature.key_id for one in bundle.signed.signatures]
        guesses = [self._store.guesses(key, now_ms, but=digest) for key in keys]
        displays = self._displays.get(visit.device, ())
        secrets, is_damaged = self._secrets_of(displays)
        evidence = Evidence(
            device=visit.device,
            secrets=secrets,
            old=[(old, until // _SLOT_MS + 1) for display in displays for old, until in self._secrets.old_of(display)],
            is_damaged=is_damaged,
            is_heard=self._is_heard(visit),
            is_spent=lambda mark: self._sightings.spender(mark) not in (None, digest),
            is_disputed=any(map(self._secrets.is_disputed, displays)),
            limited={number for number, count in enumerate(guesses) if count >= GUESSES_MAX},
            carded=self._carded(visit),
        )
        signers = Signers(
            keys=keys, mechanics=len(visit.mechanics), started_at_s=visit.started_at_s, ended_at_s=visit.ended_at_s
        )
        finding, wrong_of = find_codes(bundle.presence, signers, evidence, nonce=self._has_nonce(bundle))
        for key, wrong in zip(keys, wrong_of, strict=True):
            if wrong:
                self._store.note_guesses(key, digest, wrong, now_ms)
        return finding

    def nonce_page(self, devices: Collection[bytes], crew_urls: Sequence[str]) -> NoncePage:
        """The page on the building's own network."""
        return NoncePage(self._nonces, devices, crew_urls)

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _secrets_of(self, displays: Sequence[bytes]) -> tuple[list[bytes], bool]:
        """The displays' secrets, and whether one of them cannot be read."""
        found, is_damaged = [], False
        for display in displays:
            try:
                secret = self._secrets.of(display)
            except KeyFileError as error:
                _log.error("%s; presence by this display's codes is not judged", error)
                is_damaged = True
                continue
            if secret is not None:
                found.append(secret)
        return found, is_damaged

    def _is_heard(self, visit: "Visit") -> bool:
        """Whether a display was heard over the whole visit, and the gateway's clock was not set meanwhile."""
        start_ms, end_ms = visit.started_at_s * 1000, visit.ended_at_s * 1000
        window = window_of(visit)
        steps = self._sightings.tracks(self._gateway, window).get(CLOCK_STEP, ())
        if any(
            start_ms - _STEP_FORGOTTEN_MS <= at_ms <= window[1] and (not value or abs(value) > _STEP_MIN_MS)
            for at_ms, value in steps  # a step of 0 says that the clock was never set
        ):
            return False
        return any(
            _is_covered([at_ms for at_ms, _ in self._sightings.tracks(display, window)[DISPLAY_SLOT]], start_ms, end_ms)
            for display in self._displays.get(visit.device, ())
        )

    def _carded(self, visit: "Visit") -> set[int]:
        """The signers whose own card opened a machine room of the device during the visit."""
        window = window_of(visit)
        passed = {
            person
            for door in self._doors.get(visit.device, ())
            for at_ms, person in self._sightings.tracks(door, window)[ACCESS_GRANTED]
            if window[0] <= at_ms <= window[1]
        }
        people = (*visit.mechanics, visit.manager)
        return {number for number, alias in enumerate(people) if any(alias) and person_number(alias) in passed}

    def _has_nonce(self, bundle: "Bundle") -> bool:
        """Whether the proof brings a nonce that this gateway gave out for the device about that time."""
        visit, proof = bundle.visit, bundle.presence
        if proof is None or proof.nonce is None:
            return False
        drawn_ms, window = self._nonces.drawn_at_ms(proof.nonce.value, visit.device), window_of(visit)
        is_of_then = drawn_ms is not None and window[0] <= drawn_ms <= window[1]
        return is_of_then and self._store.spend_nonce(proof.nonce.value, visit.digest())


def _is_covered(times_ms: Sequence[int], start_ms: int, end_ms: int) -> bool:
    """Whether no stretch from start to end is longer than the gap without a report, and there was one about then."""
    inside = [start_ms, *sorted(at_ms for at_ms in times_ms if start_ms < at_ms < end_ms), end_ms]
    is_about = any(start_ms - HEARD_GAP_MS <= at_ms <= end_ms + HEARD_GAP_MS for at_ms in times_ms)
    return is_about and all(after - before <= HEARD_GAP_MS for before, after in pairwise(inside))
