"""The witness itself: judges a request, writes the new head down, and only then cosigns."""

import logging
import sqlite3
from collections.abc import Callable, Sequence

from cloud.witness.judgement import Genuine, Refused, check_genuine, check_growth
from cloud.witness.state import WitnessState
from contracts import ed25519
from contracts.note import Note, VerifierKey, format_note, format_signature_line
from contracts.witness import cosign

__all__ = ["Witness"]

_log = logging.getLogger("witness")


class Witness:
    """Cosigns each log's history as long as it only grows. Its methods block; threads may call them at once."""

    def __init__(
        self,
        *,
        name: str,
        key: ed25519.PrivateKey,
        vkey: str,
        logs: Sequence[VerifierKey],
        state: WitnessState,
    ) -> None:
        self.vkey = vkey
        self.origins = tuple(dict.fromkeys(log.name for log in logs))
        self._name, self._key, self._logs, self._state = name, key, tuple(logs), state

    def add_checkpoint(self, body: bytes, clock: Callable[[], float]) -> str:
        """The cosignature line for an `add-checkpoint` request.

        Raises:
            Refused: with the answer that the protocol asks for.
        """
        genuine = check_genuine(body, self._logs)
        try:
            with self._state.transaction() as transaction:
                check_growth(genuine, transaction.held(genuine.head.origin))
                line = cosign(genuine.note.text, self._name, self._key, int(clock()))
                transaction.keep(genuine, format_note(Note(text=genuine.note.text, signatures=(genuine.line, line))))
        except Refused as refusal:
            self._remember(genuine, refusal)
            raise
        except sqlite3.Error as error:
            _log.error("witness: nothing is cosigned: the state cannot be written (%s); make room on its disk", error)
            raise Refused(
                503,
                f"the witness cannot write down what it would cosign ({error}), so nothing was signed: its keeper must "
                "make room on its disk; ask again then\n",
            ) from error
        return format_signature_line(line)

    def _remember(self, genuine: Genuine, refusal: Refused) -> None:
        if refusal.status != 422:
            return
        try:
            is_new, kept = self._state.remember_refused(genuine), "kept"
        except sqlite3.Error as error:  # refused all the same; its sender has it, and so has whoever reads this
            is_new, kept = True, f"not kept ({error}: make room on the state's disk), {genuine.request.note!r}"
        if is_new:
            _log.warning(
                "witness: %s signed size %d, which was not shown to extend size %d; %s, not cosigned: %s",
                genuine.head.origin,
                genuine.head.size,
                genuine.request.old_size,
                kept,
                refusal.text.strip(),
            )

    def checkpoint(self, origin: str) -> str | None:
        """The note cosigned last of a log, with the log's signature and this witness's."""
        return self._state.note(origin)
