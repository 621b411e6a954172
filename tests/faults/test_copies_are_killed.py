"""`kill -9` of the segment writer and of the mirror at any moment: both go on, and the copy is whole and true."""

from __future__ import annotations

import asyncio
import random
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from fastapi import FastAPI

from cloud.copies.acknowledgements import Acknowledgements
from cloud.copies.routes import copies_router
from cloud.mirror.check import check_log
from cloud.mirror.keys import PinnedKeys
from cloud.mirror.settings import PinnedKey
from cloud.segments import Archive
from cloud.store import sqlite_url
from contracts.clock import SystemClock
from contracts.copy_note import CopyKeeper
from tests.cloud.conftest import Bench, open_bench
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.served import minglou, write_secret
from tests.cloud.test_mirror import served
from tests.cloud.test_segments import grow
from tests.faults.gateway import seeds
from tests.processes import Program, running

KILLS = 4
ROUNDS = 12
KEEPER = CopyKeeper(name="committee.example/copy", public=bytes(32))  # whose notes nobody checks here
# Each seed starts six processes: one in a test run, a tenth of the others' in a soak.
SEEDS = seeds()[: max(1, len(seeds()) // 10)]


def write_mirror_settings(folder: Path, url: str, gateway: SimulatedGateway) -> Path:
    write_secret(folder / "token", "t0ken")
    (folder / "mirror.toml").write_text(
        f'[mirror]\nname = "{KEEPER.name}"\ndata_dir = "copy"\nseconds = 0.02\nacknowledge_seconds = 0.1\n'
        f'[cloud]\nurl = "{url}"\ntoken_file = "token"\n'
        f'[[gateway]]\norigin = "{gateway.origin}"\nkey = "{gateway.public.hex()}"\n'
    )
    return folder / "mirror.toml"


async def until(said: Program, words: str, times: int) -> None:
    """Wait until a program has said something so often; it may take long to start beside others."""
    async with asyncio.timeout(90):
        while said.said().count(words) < times:
            assert said.is_running(), said.said()
            await asyncio.sleep(0.02)


async def until_copied(mirror: Program, copy: Path, gateway: SimulatedGateway) -> None:
    """Wait until the copy holds the whole log."""
    async with asyncio.timeout(120):
        while Archive(copy).log(gateway.origin).size < gateway.size:
            assert mirror.is_running(), mirror.said()
            await asyncio.sleep(0.05)


async def kill_at_random(programs: dict[str, Program], rng: random.Random) -> None:
    """One of them, somewhere in its work, and again from the start."""
    starts = dict.fromkeys(programs, 1)
    for _ in range(KILLS):
        words = rng.choice(sorted(programs))
        await asyncio.sleep(rng.random() * 0.3)
        programs[words].kill()
        programs[words].restart()
        starts[words] += 1
        await until(programs[words], words, starts[words])


async def log_meanwhile(bench: Bench, gateway: SimulatedGateway) -> None:
    for _ in range(ROUNDS):
        await grow(bench, gateway, 3, entries=30)
        await asyncio.sleep(0.02)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_writer_and_a_killed_mirror_lose_nothing_and_double_nothing(tmp_path: Path, seed: int) -> None:
    async def scene() -> None:
        gateway, rng = SimulatedGateway(), random.Random(seed)
        url, segments = sqlite_url(tmp_path / "cloud.sqlite3"), tmp_path / "segments"
        async with open_bench(url) as bench:
            bench.keys.enrol(gateway)
            app = FastAPI()
            room = Acknowledgements(bench.store, SystemClock())
            app.include_router(copies_router(bench.store, Archive(segments), room, {"t0ken": KEEPER}))
            async with served(app) as address:
                config = write_mirror_settings(tmp_path, address, gateway)
                with ExitStack() as stack:
                    writer = [sys.executable, "-m", "tests.faults.segment_writer", url, segments]
                    mirror = [minglou(), "mirror", "run", "--config", config]
                    programs = {
                        "writer: ready": stack.enter_context(running(writer, name="writer", output_dir=tmp_path)),
                        "mirror: ready": stack.enter_context(running(mirror, name="mirror", output_dir=tmp_path)),
                    }
                    for words, program in programs.items():
                        await until(program, words, 1)
                    await asyncio.gather(kill_at_random(programs, rng), log_meanwhile(bench, gateway))
                    await until_copied(programs["mirror: ready"], tmp_path / "copy" / "segments", gateway)
                    assert programs["mirror: ready"].stop() == 0, programs["mirror: ready"].said()
        keys = PinnedKeys([PinnedKey(origin=gateway.origin, public=gateway.public)])
        for folder in (segments, tmp_path / "copy" / "segments"):
            checked = check_log(Archive(folder).log(gateway.origin), keys)
            assert (checked.entries, checked.broken) == (gateway.size, "")
        assert not list((tmp_path / "copy").glob("contradictions/*"))

    asyncio.run(scene())
