"""Presence: whether who signed a visit stood at the machine, by the codes of its display, his card and a nonce.

It is imported only where a display, a machine room's door or the crew's page is in the settings: a gateway without them
starts without it. The secret that tells a right code from a guess is a display's and its gateway's alone, so this part
of a verdict cannot be judged again by others; all the rest of it can.
"""

from edge.presence.desk import PresenceDesk
from edge.presence.nonces import NoncePage, Nonces
from edge.presence.secrets import DisplaySecrets, PairedDisplay

__all__ = ["DisplaySecrets", "NoncePage", "Nonces", "PairedDisplay", "PresenceDesk"]
