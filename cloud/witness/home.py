"""A witness's two files, key and state, which belong together.

A key without its state has forgotten what it signed, and could be led to sign another history: such a witness does not
start. So whoever loses one of the two begins again with a new key, under which nothing was signed yet.
"""

import os
from pathlib import Path

from cloud.errors import SettingsError
from cloud.witness.settings import WitnessSettings
from cloud.witness.state import WitnessState
from cloud.witness.witness import Witness
from contracts import ed25519
from contracts.errors import KeyFormatError
from contracts.note import COSIGNATURE_V1, VerifierKey, format_vkey

__all__ = ["open_witness"]


def open_witness(settings: WitnessSettings) -> Witness:
    """The witness of these settings; key (0600) and state are made where neither exists.

    Raises:
        SettingsError: one of the two is missing, they do not belong together, or the key can be read by others.
    """
    has_key, has_state = settings.key_file.exists(), settings.state_file.exists()
    if has_key and not has_state:
        raise SettingsError(
            f"witness key {settings.key_file} is here but its state {settings.state_file} is not: this witness has "
            "forgotten what it signed and could be led to sign another history. Bring back the newest state, never an "
            "older copy; if it is lost, retire this key: move it away, start, and hand out the new vkey"
        )
    state = WitnessState.create(settings.state_file)
    if not has_key:
        if state.vkey() is not None and state.has_heads():
            raise SettingsError(
                f"witness key {settings.key_file} is gone but its state {settings.state_file} is here; bring the key "
                "back, or move the state away to begin as a new witness with a new vkey"
            )
        _make_key(settings.key_file)
    key = _read_key(settings.key_file)
    vkey = format_vkey(VerifierKey(name=settings.name, signature_type=COSIGNATURE_V1, public=ed25519.public_bytes(key)))
    bound = state.vkey()
    if bound != vkey and state.has_heads():
        raise SettingsError(
            f"witness state {settings.state_file} belongs to {bound}, name and key are now {vkey}; bring back the ones "
            "that it belongs to"
        )
    state.bind(vkey)
    return Witness(name=settings.name, key=key, vkey=vkey, logs=settings.logs, state=state)


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(ed25519.dump_pem(ed25519.generate_key()))
        file.flush()
        os.fsync(file.fileno())


def _read_key(path: Path) -> ed25519.PrivateKey:
    if path.stat().st_mode & 0o077:
        raise SettingsError(f"witness key {path} can be read by others; run: chmod 600 {path}")
    try:
        return ed25519.load_pem(path.read_bytes())
    except (OSError, KeyFormatError) as error:
        raise SettingsError(f"witness key {path}: {error}") from error
