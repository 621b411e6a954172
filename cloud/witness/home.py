"""A witness's two files, key and state, which belong together.

A key without its state has forgotten what it signed, and could be led to sign another history: such a witness does not
start. So whoever loses one of the two begins again with a new key, under which nothing was signed yet.
"""

from cloud.errors import SettingsError
from cloud.key_file import make_key_file, open_key_file
from cloud.witness.settings import WitnessSettings
from cloud.witness.state import WitnessState
from cloud.witness.witness import Witness
from contracts import ed25519
from contracts.note import COSIGNATURE_V1, VerifierKey, format_vkey

__all__ = ["open_witness"]

_KEY = "witness key"


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
        make_key_file(settings.key_file, _KEY)
    key = open_key_file(settings.key_file, _KEY)
    vkey = format_vkey(VerifierKey(name=settings.name, signature_type=COSIGNATURE_V1, public=ed25519.public_bytes(key)))
    bound = state.vkey()
    if bound != vkey and state.has_heads():
        raise SettingsError(
            f"witness state {settings.state_file} belongs to {bound}, name and key are now {vkey}; bring back the ones "
            "that it belongs to"
        )
    state.bind(vkey)
    return Witness(name=settings.name, key=key, vkey=vkey, logs=settings.logs, state=state)
