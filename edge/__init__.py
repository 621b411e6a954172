"""The gateway: what meters, lifts and access controllers say becomes a signed, append-only log, and goes up.

Collectors (MQTT, serial, BLE) hand entries to one committer, which acknowledges a device only after the entry, its leaf
hash and the tree's frontier are on disk. A signer signs checkpoints of that log and a forwarder sends it to the cloud.
This room may import `devices` and `contracts`; it never imports `cloud`: the two meet in bytes, over HTTPS.
"""

__all__: list[str] = []
