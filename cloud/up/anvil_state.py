"""What anvil keeps on disk, so that a kill never costs the chain.

anvil writes its whole state in place, every second. Killed while it does (megabytes take it a tenth of the time, on a
busy machine half of it), it leaves a half that nothing can be read from. So whoever runs it keeps a copy of each state
that was seen whole, and puts that back before the next start: the chain comes back a moment shorter, not empty.
"""

import json
import threading
from pathlib import Path

__all__ = ["keep_state", "repair_state"]

_BEGINNING_BYTES = 256  # hold the newest block's number, time and random value
_PIECE_BYTES = 65_536


def keep_state(state: Path) -> bool:
    """Keep a copy of the state, unless anvil is just writing it; whether the copy is of the newest block saved."""
    copy = _copy_of(state)
    if (beginning := _beginning(state)) and beginning == _beginning(copy):
        return True
    try:
        encoded = state.read_bytes()
        if not _looks_whole(encoded):
            return False
        _replace(copy, encoded)
    except OSError:  # no file yet, or a full disk; what was kept before stands, and it is tried again
        return False
    return True


def repair_state(state: Path) -> None:
    """Before a start: put back the last whole state if a kill has left a half, else keep a copy of the whole one."""
    whole, copy = _whole(state), _copy_of(state)
    if whole is not None:
        _replace(copy, whole)
    elif (kept := _whole(copy)) is not None:
        _replace(state, kept)
    else:
        state.unlink(missing_ok=True)


def _copy_of(state: Path) -> Path:
    return state.with_name("state.copy.json")


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_BEGINNING_BYTES)
    except OSError:
        return b""


def _looks_whole(encoded: bytes) -> bool:
    """Whether every brace is closed: of a state that was cut off the first one is not, for its texts hold none.

    To parse megabytes in one call would stop whoever serves in this process; between two pieces others have their turn.
    """
    pieces = range(0, len(encoded), _PIECE_BYTES)
    opened = sum(encoded.count(b"{", at, at + _PIECE_BYTES) for at in pieces)
    return encoded.endswith(b"}") and opened == sum(encoded.count(b"}", at, at + _PIECE_BYTES) for at in pieces)


def _whole(path: Path) -> bytes | None:
    """The file's bytes; None where it is not there or a part of it is missing."""
    try:
        encoded = path.read_bytes()
        return encoded if isinstance(json.loads(encoded), dict) else None
    except (OSError, ValueError):
        return None


def _replace(path: Path, encoded: bytes) -> None:
    """At once: what is killed here leaves the old bytes or the new ones. Two threads may do so at the same time."""
    fresh = path.with_suffix(f".{threading.get_native_id()}")
    fresh.write_bytes(encoded)
    fresh.replace(path)
