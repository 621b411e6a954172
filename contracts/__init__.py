"""The ground floor: what the parties agree on.

Record formats (entry, detail, checkpoint, evidence), the RFC 9162 tree, signatures, and the typed Python face of the
Vyper contracts. It may import nothing of ours and does no I/O, so that every room, a verifier on a stranger's machine
and a notary's archive can rest on it. Import from its modules: `from contracts.entry import Entry`.
"""

__all__: list[str] = []
