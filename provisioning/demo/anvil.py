"""How anvil is started, wherever it is: what it keeps stays in memory or in the folder it is given."""

from __future__ import annotations

from pathlib import Path

from provisioning.demo.programs import anvil_program

__all__ = ["CHAIN_ID", "anvil_command"]

CHAIN_ID = 31337
_STATES_KEPT = 256  # blocks whose state can still be asked for or returned to; anvil_reorg and finality go back a few


def anvil_command(
    port: int, *options: str, hardfork: str = "osaka", genesis_s: int | None = None, every_state_in: Path | None = None
) -> tuple[str, ...]:
    """The words that start a development chain on 127.0.0.1.

    Left to itself anvil writes the state of every block below the user's home, megabytes each, and only an anvil that
    ends by itself takes them away again: a killed one leaves them for ever.

    Args:
        options: more of anvil's own.
        genesis_s: timestamp of block 0, in seconds since 1970; the present without one.
        every_state_in: a folder for the state of each block back to the first, for who asks for those; else the last
            256 are kept, in memory.
    """
    kept = ("--prune-history", str(_STATES_KEPT)) if every_state_in is None else ("--cache-path", str(every_state_in))
    began = () if genesis_s is None else ("--timestamp", str(genesis_s))
    place = ("--host", "127.0.0.1", "--port", str(port))
    rules = ("--chain-id", str(CHAIN_ID), "--hardfork", hardfork)
    return (str(anvil_program()), "--silent", *place, *rules, *kept, *began, *options)
