"""MQTT: the gateway's own endpoint, whose PUBACK means *on disk*, and its client side behind a broker.

`packet` codes bytes, `connection` is one client's state machine without I/O, `endpoint` moves bytes. `broker` is a
client of somebody's broker through paho, with manual acknowledgement. Imports of this package may be any of `edge`'s.
"""

__all__: list[str] = []
