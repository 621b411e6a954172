"""Rebuilding the store from what is primary: the segments' entries, and the chain.

`minglou cloud rebuild` fills a fresh store and proves that it is the present one, table by table, or brings a lost one
back. What is derived is named here; every other table is primary and carried over from the present store, where there
is one.
"""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["DERIVED"]

DERIVED: Mapping[str, str] = MappingProxyType(
    {
        "logs": "segments",
        "entries": "segments",
        "nodes": "segments",
        "boundaries": "segments",
        "checkpoints": "segments",
        "super_head": "checkpoints",
        "super_nodes": "checkpoints",
        "audit_nodes": "audit_entries",
        "chain_cursor": "chain",
        "chain_blocks": "chain",
        "chain_events": "chain",
        "device_days": "entries",
    }
)
"""Tables that are made anew, and from what."""
