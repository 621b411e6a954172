"""The whole database anew: `minglou cloud rebuild` over the segments of ten million entries, as a process of its own.

The segments are written before the clock starts: 200 entries a checkpoint, every fourth with a detail, signed with
P-256. A database that is lost is brought back, so nothing is compared; verifying, storing and indexing is all in it.
`MINGLOU_REBUILD_ENTRIES` takes fewer, for a quick look; the figure is then left out.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from cloud.segments import Archive
from contracts import p256
from contracts.checkpoint import Checkpoint, sign_checkpoint
from contracts.detail import encode_detail
from contracts.entry import NO_DETAIL, Entry, Kind, Series, device_id, encode_entry
from contracts.segment import Frame, encode_frame
from contracts.tree import Frontier, leaf_hashes
from tests.bench.figure import Figure
from tests.processes import REPOSITORY

ENTRIES = 10_000_000
ENTRIES_A_GATEWAY = 10_000
ENTRIES_A_CHECKPOINT = 200
METERS = 25  # of each gateway
START_MS = 1_764_000_000_000
PROGRAM = [sys.executable, "-c", "import sys, minglou; sys.exit(minglou.main())"]
SETTINGS = """[cloud]
listen = "127.0.0.1:1"
data_dir = "data"
[super_log]
origin = "bench.example/log"
"""


def write_segments(folder: Path, entries: int) -> None:
    """So many entries over their gateways, by as many processes as there are cores."""
    assert entries % ENTRIES_A_GATEWAY == 0, f"entries come by {ENTRIES_A_GATEWAY:,}"
    gateways, started = entries // ENTRIES_A_GATEWAY, time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(os.cpu_count() or 1) as pool:
        for done, _ in enumerate(pool.imap_unordered(partial(_write_log, folder), range(gateways)), 1):
            if done % max(1, gateways // 10) == 0:
                seconds = time.perf_counter() - started
                print(f"{done * ENTRIES_A_GATEWAY:,} of {entries:,} entries made after {seconds:.0f} s", flush=True)


def _write_log(folder: Path, gateway: int) -> None:
    checkpoints = ENTRIES_A_GATEWAY // ENTRIES_A_CHECKPOINT
    archive = Archive(folder)
    origin, key, frontier = f"bench.example/s/g{gateway}/e0", p256.generate_key(), Frontier()
    public, files = p256.public_bytes(key), archive.log(f"bench.example/s/g{gateway}/e0")
    meters = [Series(Kind.READING, device_id(f"urn:bench:g{gateway}:m{n}"), "1-0:1.8.0") for n in range(METERS)]
    for number in range(checkpoints):
        slots, details = list[bytes](), list[bytes]()
        for index in range(number * ENTRIES_A_CHECKPOINT, (number + 1) * ENTRIES_A_CHECKPOINT):
            slot, detail = _opening(gateway) if index == 0 else _reading(meters, index)
            slots.append(slot)
            details.append(detail)
        joined, peaks, start = b"".join(slots), frontier.peaks, frontier.size
        frontier.extend(leaf_hashes(joined, 224))
        note = sign_checkpoint(Checkpoint(origin=origin, size=frontier.size, root=frontier.root()), key)
        frame = Frame(
            start=start, peaks=peaks, note=note, public=public, super_index=gateway * checkpoints + number,
            received_at_ms=START_MS + index, slots=joined, details=tuple(details),
        )  # fmt: skip
        files.append(encode_frame(frame), frame, frontier)
    files.flush()


def _opening(gateway: int) -> tuple[bytes, bytes]:
    fields = {"claim_code": "c", "uplink_token_digest": hashlib.sha256(b"%d" % gateway).hexdigest()}
    detail = encode_detail(fields, salt=bytes(16))
    entry = Entry(
        kind=Kind.GATEWAY, device=device_id(f"urn:bench:g{gateway}"), observed_at_ms=START_MS, quantity="epoch.open",
        value=0, detail_digest=hashlib.sha256(detail).digest(), salt=bytes(16),
    )  # fmt: skip
    return encode_entry(entry), detail


def _reading(meters: list[Series], index: int) -> tuple[bytes, bytes]:
    salt = index.to_bytes(16)
    detail = b'{"salt":"%s","source":"poll"}' % salt.hex().encode() if index % 4 == 0 else b""
    digest = hashlib.sha256(detail).digest() if detail else NO_DETAIL
    return meters[index % METERS].encode(START_MS + 1000 * index, 7 * index, digest, salt), detail


def rebuild_seconds(folder: Path) -> float:
    """Wall seconds of the command. Raises `CalledProcessError` where it fails."""
    started = time.perf_counter()
    command = [*PROGRAM, "cloud", "rebuild", "--config", str(folder / "cloud.toml")]
    subprocess.run(command, cwd=REPOSITORY, check=True)  # it says itself how far it is
    return time.perf_counter() - started


def figures() -> dict[str, Figure]:
    """One run; some ten minutes with the making of the segments."""
    entries = int(os.environ.get("MINGLOU_REBUILD_ENTRIES", ENTRIES))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "cloud.toml").write_text(SETTINGS)
        started = time.perf_counter()
        write_segments(folder / "data" / "segments", entries)
        print(f"{entries:,} entries in segments after {time.perf_counter() - started:.0f} s", flush=True)
        seconds = rebuild_seconds(folder)
        database = sum(path.stat().st_size for path in (folder / "data").glob("cloud.sqlite3*"))
    print(f"{entries:,} entries rebuilt in {seconds:.1f} s, {entries / seconds:,.0f} a second", flush=True)
    if entries != ENTRIES:
        return {}
    note = (
        f"a lost SQLite database of {database / 2**30:.1f} GiB brought back by `minglou cloud rebuild`: "
        f"{ENTRIES // ENTRIES_A_GATEWAY:,} gateways, {ENTRIES_A_CHECKPOINT} entries a checkpoint, every fourth with a "
        "detail, every signature verified"
    )
    return {"cloud.rebuild_s_10m": Figure(value=seconds, unit="s", note=note)}
