"""A segment writer as a process of its own, to be killed: `python -m tests.faults.segment_writer URL FOLDER`."""

import asyncio
import sys
from pathlib import Path

from cloud.segments import Archive
from cloud.segments.writer import SegmentWriter
from cloud.store import Store


async def main(url: str, folder: Path) -> None:
    """Follow the store until killed."""
    writer = SegmentWriter(Store(url), Archive(folder, segment_bytes=60_000))
    await writer.prepare()
    print("writer: ready", flush=True)
    while True:
        await writer.step()
        await asyncio.sleep(0.005)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
