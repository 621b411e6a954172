"""`minglou demo`: one building from meter to bill, in real processes on this machine."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

__all__ = ["add_arguments", "run"]

FAILED = 1
_ONCE_CHALLENGE_SECONDS = 15
_CHALLENGE_SECONDS = 15 * 60
_MONTH_SECONDS = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--once`, `--dir` and `--month-seconds`."""
    parser.add_argument(
        "--once", action="store_true", help="live through the month, verify everything, print a table, stop"
    )
    parser.add_argument(
        "--dir", type=Path, default=Path(".demo"), help="where the demo keeps everything (default: .demo)"
    )
    parser.add_argument(
        "--month-seconds",
        type=float,
        default=_MONTH_SECONDS,
        metavar="S",
        help="real seconds that the month takes (default: 60)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; 0 when it was stopped or all was verified, 1 when something failed."""
    from provisioning.demo.launcher import DemoOptions, Launcher
    from provisioning.errors import ProvisioningError

    options = DemoOptions(
        directory=arguments.dir.absolute(),
        once=arguments.once,
        month_seconds=arguments.month_seconds,
        challenge_seconds=_ONCE_CHALLENGE_SECONDS if arguments.once else _CHALLENGE_SECONDS,
    )
    try:
        return asyncio.run(Launcher(options).run())
    except ProvisioningError as error:
        sys.stderr.write(f"minglou demo: {error}\n")
        return FAILED
