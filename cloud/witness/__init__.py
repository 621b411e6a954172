"""A witness that anyone can run: it cosigns a log's checkpoints as long as the log only grows (C2SP tlog-witness).

It serves any C2SP log whose key it is given, needs no database but one file, and knows nothing of the cloud beside it:
it may import `contracts` and this package's settings reader only, so that a committee can run it on a small machine.
"""

from cloud.witness.home import open_witness
from cloud.witness.settings import WitnessSettings, load_witness_settings

__all__ = ["WitnessSettings", "load_witness_settings", "open_witness"]
