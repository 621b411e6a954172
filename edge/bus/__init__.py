"""Serial buses with many meters: the port, when each meter is due, and the collector that joins them.

`port` moves bytes and knows no protocol, `schedule` decides by the clock without I/O, `collector` runs one bus.
"""

__all__: list[str] = []
