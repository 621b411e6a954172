"""What is told to end ends: tasks that swallow a cancellation, tasks that heed none, and whole processes."""

import asyncio
import sys
from pathlib import Path

from contracts.ending import end_tasks
from tests.processes import running


async def endless(*, swallows: int) -> None:
    """Run for ever, and go on after the first so many cancellations."""
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            swallows -= 1
            if swallows < 0:
                raise


def test_a_task_that_swallows_a_cancellation_is_cancelled_again() -> None:
    async def scenario() -> list[str]:
        tasks = [asyncio.create_task(endless(swallows=count)) for count in (0, 1)]
        await asyncio.sleep(0)
        return await end_tasks(tasks, seconds=60)

    assert asyncio.run(scenario()) == []


def test_a_task_that_heeds_nothing_is_named_and_waited_for_no_longer() -> None:
    async def scenario() -> list[str]:
        stubborn = asyncio.create_task(endless(swallows=2), name="stubborn")
        good = asyncio.create_task(endless(swallows=0), name="good")
        await asyncio.sleep(0)
        left = await end_tasks([stubborn, good], seconds=0.2)
        while not stubborn.done():
            stubborn.cancel()
            await asyncio.sleep(0)
        return left

    assert asyncio.run(scenario()) == ["stubborn"]


def test_a_process_whose_end_hangs_is_ended_and_shows_where_it_hung(tmp_path: Path) -> None:
    hung = "def never_ends():\n    while True: time.sleep(1)\n"
    program = (
        f"import sys, threading, time\nfrom contracts.ending import end_process_within\n{hung}"
        "end_process_within(0.5)\nthreading.Thread(target=never_ends).start()\n"
    )
    with running([sys.executable, "-c", program], name="hung", output_dir=tmp_path) as started:
        assert started.process.wait(timeout=280) == 1
        assert "never_ends" in started.said()
