"""Running one of our own commands to its end, as a process of its own."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from provisioning.demo.errors import DemoError

__all__ = ["Outcome", "run_command", "try_command"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a command ended and what it said."""

    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def said(self) -> str:
        """All that it said."""
        return (self.stdout + self.stderr).strip()


async def try_command(command: Sequence[str], *, directory: Path, seconds: float = 240.0) -> Outcome:
    """Run a command to its end, whatever its exit code.

    Raises:
        DemoError: it was still running after `seconds`, and was ended.
    """
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=directory,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds):
            stdout, stderr = await process.communicate()
    except TimeoutError as error:
        raise DemoError(f"`{_short(command)}` did not end within {seconds:.0f} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Outcome(
        code=process.returncode,
        stdout=stdout.decode(errors="replace"),
        stderr=stderr.decode(errors="replace"),
        seconds=time.monotonic() - started,
    )


async def run_command(command: Sequence[str], *, directory: Path, seconds: float = 240.0) -> Outcome:
    """As `try_command`, for a command that must succeed.

    Raises:
        DemoError: it failed; the message carries what it said.
    """
    outcome = await try_command(command, directory=directory, seconds=seconds)
    if outcome.code != 0:
        raise DemoError(f"`{_short(command)}` ended with exit code {outcome.code}:\n{outcome.said}")
    return outcome


def _short(command: Sequence[str]) -> str:
    words = list(command)
    if len(words) > 3 and words[1] == "-c":
        words = ["minglou", *words[3:]]
    return " ".join(words)
