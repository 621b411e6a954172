"""The press: one job after the other, so many that wait, none that stays."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

import cloud.web.paper
from cloud.web.paper import Press, PressBusy

AT = datetime(2026, 11, 27, tzinfo=UTC)


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that says that it began, and takes its time."""
    program, begun = tmp_path / "slow.py", tmp_path / "begun"
    program.write_text(
        "import os, pathlib, sys, time\n"
        f"pathlib.Path({str(begun)!r}).open('a').write(f'{{os.getpid()}}\\n')\n"
        "sys.stdin.read(); time.sleep(60)\n"
    )
    monkeypatch.setattr(cloud.web.paper, "_PROGRAM", program)
    return begun


async def until_begun(begun: Path) -> int:
    async with asyncio.timeout(30):
        while not begun.exists() or not begun.read_text().endswith("\n"):  # noqa: ASYNC110, ASYNC240 - a file offers no event
            await asyncio.sleep(0.02)
    return int(begun.read_text().split()[0])  # noqa: ASYNC240


def test_who_comes_when_enough_wait_is_sent_away_at_once(slow: Path) -> None:
    async def scenario() -> None:
        press = Press(waiting_max=1)
        jobs = [asyncio.create_task(press.print("", (), created=AT)) for _ in range(2)]
        await until_begun(slow)
        with pytest.raises(PressBusy):
            await press.print("", (), created=AT)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)

    asyncio.run(scenario())
    assert len(slow.read_text().split()) == 1, "the second waited for its turn"


def test_a_job_that_takes_too_long_is_given_up_and_its_program_ended(slow: Path) -> None:
    async def scenario() -> None:
        press = Press(seconds_max=2)
        with pytest.raises(PressBusy):
            await press.print("", (), created=AT)

    asyncio.run(scenario())
    pid = int(slow.read_text())
    assert not Path(f"/proc/{pid}").exists()
