"""`minglou demo`: one building from meter to bill, in real processes on this machine."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

__all__ = ["add_arguments", "run"]

FAILED = 1
_ONCE_CHALLENGE_SECONDS = 12
_CHALLENGE_SECONDS = 15 * 60
_MONTH_SECONDS = 60.0
_ONCE_MONTH_SECONDS = 55.0
_DIRECTORY = Path(".demo")
_ONCE_DIRECTORY = _DIRECTORY / "once"  # begun anew each time, beside a demo that goes on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--once`, `--dir`, `--month-seconds` and `--days-later`."""
    parser.add_argument(
        "--once", action="store_true", help="live through the month, verify everything, print a table, stop"
    )
    parser.add_argument(
        "--dir",
        type=Path,
        help=f"where the demo keeps everything (default: {_DIRECTORY}, with --once {_ONCE_DIRECTORY})",
    )
    parser.add_argument(
        "--month-seconds",
        type=float,
        metavar="S",
        help=f"real seconds of the month (default: {_MONTH_SECONDS:.0f}, with --once {_ONCE_MONTH_SECONDS:.0f})",
    )
    parser.add_argument(
        "--days-later",
        type=int,
        default=0,
        metavar="N",
        help="continue a demo as if it had been left alone for N more days: every process is started that much later",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; 0 when it was stopped or all was verified, 1 when something failed."""
    from provisioning.demo.launcher import DemoOptions, Launcher
    from provisioning.errors import ProvisioningError

    once: bool = arguments.once
    directory: Path = arguments.dir or (_ONCE_DIRECTORY if once else _DIRECTORY)
    options = DemoOptions(
        directory=directory.absolute(),
        once=once,
        month_seconds=arguments.month_seconds or (_ONCE_MONTH_SECONDS if once else _MONTH_SECONDS),
        challenge_seconds=_ONCE_CHALLENGE_SECONDS if once else _CHALLENGE_SECONDS,
        days_later=arguments.days_later,
    )
    try:
        return asyncio.run(Launcher(options).run())
    except ProvisioningError as error:
        sys.stderr.write(f"minglou demo: {error}\n")
        return FAILED
