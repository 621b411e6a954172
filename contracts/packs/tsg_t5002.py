"""Make the pack of annex A of TSG T5002-2017 from a table of its 76 items: `python -m contracts.packs.tsg_t5002 FILE`.

The table has one line an item: code, item, requirement, our English label and kind, divided by `|`. It holds what the
annex says. What stands in this file is ours and says so in the pack: where the work is done, so that a body goes from
the machine room to the pit once; the two limits that a page can check; and which of a machine's signals show an item.
"""

import json
import sys
from pathlib import Path
from typing import Any

from contracts.errors import ContractsError
from contracts.packs import DIRECTORY

NAME = "cn-tsg-t5002-2017-a"
HEADER = "code|item_zh|requirement_zh|label_en|kind"
CLASSES = ("half-month", "quarter", "half-year", "year")
ITEMS_OF_CLASS = (31, 13, 15, 17)

SPOT_OF = {
    "machine-room": "1-01 1-02 1-03 1-04 1-05 1-06 1-07 1-08 1-09 1-10 2-01 2-02 2-03 2-04 2-05 2-06 3-01 3-02 3-03 "
    "3-04 3-05 3-06 4-01 4-02 4-03 4-04 4-05 4-06 4-07 4-08",
    "car-top": "1-11 1-12 1-13 1-14 1-15 1-21 2-07 2-09 3-07 3-08 3-09 3-10 3-15 4-09 4-10 4-11",
    "car": "1-16 1-17 1-18 1-19 1-20 1-22 1-23 2-08 3-12 4-14",
    "landing": "1-24 1-25 1-26 1-27 1-28 1-29 2-10 2-11 3-11 4-13",
    "pit": "1-30 1-31 2-12 2-13 3-13 3-14 4-12 4-15 4-16 4-17",
}
LIMITS: dict[str, dict[str, Any]] = {
    "A-1-23": {"unit": "mm", "factor": 1, "max": 10, "warn": 8, "source": "GB/T 7588.1-2020, stopping accuracy"},
    "A-1-29": {"unit": "mm", "factor": 10, "min": 70, "warn": 75, "source": "TSG T5002-2017 A1-29"},
}
SHOWS = {
    "alarm": ["A-1-18"],
    "braking": ["A-4-04"],
    "car-door": ["A-1-21", "A-2-08"],
    "car-top-stop": ["A-1-12"],
    "door-cycles": ["A-1-22"],
    "door-reopening": ["A-1-20"],
    "emergency-electric": ["A-1-10"],
    "emergency-stops": ["A-4-04", "A-4-06", "A-4-07", "A-4-08"],
    "final-limits": ["A-3-15"],
    "fire-switch": ["A-2-11"],
    "governor-contact": ["A-1-08"],
    "inspection-runs": ["A-1-12"],
    "landing-doors": ["A-1-26", "A-1-27", "A-1-28"],
    "levelling": ["A-1-23"],
    "light": ["A-1-16"],
    "pit-stop": ["A-1-31"],
    "stop-switch": ["A-1-12"],
    "tension-weight": ["A-2-13"],
}
_ABOUT: dict[str, Any] = {
    "format": "minglou-pack/1",
    "name": NAME,
    "title": {
        "zh": "曳引与强制驱动电梯维护保养（TSG T5002-2017 附件A）",
        "en": "Traction and positive-drive lifts (TSG T5002-2017, annex A)",
    },
    "device_kind": "lift",
    "source": "TSG T5002-2017, annex A, as a public transcription gives it word for word",
    "checked_by": "the transcription's author; nobody of Minglou compared it with the official print",
    "checked_on": "2026-09-30",
    "verified": False,
    "valid_from": "2017-08-01",
    "people": 2,
    "countersigned": True,
    "rescue_s": {"built-up": 1800, "elsewhere": 3600},
    "classes": [
        {"class": "repair", "interval_days": 0, "warn_days": 0, "dwell_min_s": 0},
        {"class": "half-month", "interval_days": 15, "warn_days": 12, "dwell_min_s": 1200},
        {"class": "quarter", "interval_days": 90, "warn_days": 83, "dwell_min_s": 1800},
        {"class": "half-year", "interval_days": 180, "warn_days": 170, "dwell_min_s": 2700},
        {"class": "year", "interval_days": 365, "warn_days": 350, "dwell_min_s": 5400},
    ],
    "note": {
        "zh": "项目与要求出自附件A。英文名称、作业位置、预警值、最短时长和机器信号的对应关系由明楼拟定，"
        "使用前须由持证人员核对。"
        "A-1：电梯没有的项目可以调整；A-2：写明试验的必须试验；A-3：标准值指国家或行业标准和制造单位要求；A-4：按制造单位要求。",
        "en": "Items and requirements are the annex's. English labels, places of work, warning values, shortest times "
        "and which signal shows what are Minglou's own and need a licensed person's check before use. Note A-1: what "
        "a lift does not have is left out; A-2: where a test is named it is made; A-3, A-4: standard and maker decide.",
    },
}


class TableError(ContractsError):
    """A table is not the annex's."""


def pack_of(table: str) -> dict[str, Any]:
    """The pack's JSON object.

    Raises:
        TableError: another header, another number of items in a class, or an item without a place of work.
    """
    header, *lines = table.splitlines()
    if header != HEADER:
        raise TableError(f"annex A: the table begins with {header[:60]!r}, not {HEADER!r}")
    items = [_item(line) for line in lines]
    counts = tuple(sum(item["class"] == name for item in items) for name in CLASSES)
    if counts != ITEMS_OF_CLASS:
        raise TableError(f"annex A: classes of {counts} items; it has {ITEMS_OF_CLASS}")
    return _ABOUT | {"items": items, "shows": SHOWS}


def written(pack: dict[str, Any]) -> str:
    """The file's text: every field on a line, and every item, so that people can compare it line by line."""
    lines = []
    for name, value in pack.items():
        if isinstance(value, list):
            rows = ",\n".join(f"  {_line(row)}" for row in value)
            lines.append(f" {_line(name)}: [\n{rows}\n ]")
        elif name == "shows":
            rows = ",\n".join(f"  {_line(rule)}: {_line(codes)}" for rule, codes in value.items())
            lines.append(f" {_line(name)}: {{\n{rows}\n }}")
        else:
            lines.append(f" {_line(name)}: {_line(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _item(line: str) -> dict[str, Any]:
    try:
        code, zh, need_zh, en, kind = line.split("|")
        spot = next(spot for spot, codes in SPOT_OF.items() if code.removeprefix("A-") in codes.split())
    except (ValueError, StopIteration) as error:
        raise TableError(f"annex A: {line[:60]!r} is no item with five columns and a place of work") from error
    item = {
        "code": code, "class": CLASSES[int(code[2]) - 1], "zh": zh, "need_zh": need_zh, "en": en, "kind": kind,
        "at": spot,
    }  # fmt: skip
    return item | ({"limit": LIMITS[code]} if code in LIMITS else {})


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    table = Path(sys.argv[1]).read_text(encoding="utf-8")
    (DIRECTORY / f"{NAME}.json").write_text(written(pack_of(table)), encoding="utf-8")
