"""A monitor that anyone can run: it follows a deployment's logs, the chain's anchors and the witnesses, and speaks up.

It trusts nobody but `trust.json`: every tile, leaf, checkpoint and anchor is checked against what it saw before. Like
the witness it may import `contracts` and the settings reader only.
"""

from cloud.monitor.monitor import Monitor
from cloud.monitor.settings import MonitorSettings, load_monitor_settings

__all__ = ["Monitor", "MonitorSettings", "load_monitor_settings"]
