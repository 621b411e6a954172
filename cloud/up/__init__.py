"""`minglou cloud up`: a whole cloud on one machine by one command, without containers.

It writes what is missing (settings, keys, folders, on a development chain the contracts too), brings the store up and
serves; run again, after a kill or a year, it finds everything and goes on. May import the rest of the cloud.
"""

from cloud.up.anvil_state import keep_state, repair_state
from cloud.up.command import add_arguments, run_up

__all__ = ["add_arguments", "keep_state", "repair_state", "run_up"]
