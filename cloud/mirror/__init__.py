"""A mirror: an independent program that keeps its own append-only copy of a cloud's logs.

A committee or a second operator runs it. It believes nothing that the cloud says: each frame is verified against the
gateway's key, from the Registry or a list of the mirror's own, and against the history that it holds already. What
contradicts that history is refused, said loudly, and kept with what it contradicts, as proof.
"""
