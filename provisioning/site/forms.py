"""The written forms of names, addresses and titles in a site file."""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "BLE_ADDRESS",
    "CELL",
    "DIRECTORY",
    "HOST",
    "LABEL",
    "METER_ADDRESS",
    "NAME",
    "OBIS",
    "PACK",
    "PROFILE",
    "TELEPHONE",
    "TITLE",
    "TOPIC",
    "URL",
    "USERNAME",
]

LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")  # a part of a URN or of a log's origin
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")  # a unit's door name
HOST: Final = re.compile(r"(?=.{1,40}$)[a-z0-9-]+(\.[a-z0-9-]+)+")
TITLE: Final = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
OBIS: Final = re.compile(r"\d{1,3}-\d{1,3}:\d{1,3}\.\d{1,3}\.\d{1,3}")
PACK: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
PROFILE: Final = re.compile(r"[A-Za-z0-9_./-]{1,200}")
TELEPHONE: Final = re.compile(r"\+?[0-9][0-9 -]{2,30}")
METER_ADDRESS: Final = re.compile(r"\d{12}")  # DL/T 645-2007 5.2: six BCD bytes
TOPIC: Final = re.compile(r"[^+#\x00]{1,200}")
USERNAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
BLE_ADDRESS: Final = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){5}")
CELL: Final = re.compile(r"-?\d{1,2}\.\d\d,-?\d{1,3}\.\d\d")
DIRECTORY: Final = re.compile(r"[^\x00-\x1f]{1,400}")
URL: Final = re.compile(r"mqtts?://[^\s/@]{1,200}(:\d{1,5})?")
