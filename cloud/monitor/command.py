"""`minglou monitor`: follow a deployment's logs, witnesses and anchors, and speak up when something is wrong.

Exit code with --once: 0 all is well, 1 something is wrong, 2 wrong settings, 3 somebody did not answer.
"""

import argparse
import signal
import sys
import threading
import time
from pathlib import Path

from cloud.errors import CloudError, SettingsError
from cloud.monitor.settings import MonitorSettings, load_monitor_settings

__all__ = ["add_arguments", "run"]

_WELL, _WRONG, _MISUSED, _SILENT = 0, 1, 2, 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-commands of `minglou monitor`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    says = "look every so often until SIGTERM; findings as JSON lines"
    action = actions.add_parser("run", help=says, description=__doc__)
    action.add_argument("--config", type=Path, required=True, metavar="FILE", help="settings (TOML)")
    action.add_argument("--once", action="store_true", help="look once; the exit code tells")


def run(arguments: argparse.Namespace) -> int:
    """Run one sub-command."""
    try:
        return _watch(load_monitor_settings(arguments.config), once=arguments.once)
    except CloudError as error:
        print(f"minglou monitor: {error}", file=sys.stderr)
        return _MISUSED


def _watch(settings: MonitorSettings, *, once: bool) -> int:
    from cloud.monitor.chain import WatchedChain
    from cloud.monitor.finding import Kind, Reporter
    from cloud.monitor.memory import Memory
    from cloud.monitor.monitor import Monitor
    from cloud.monitor.sources import NodeRpc, Web
    from contracts.errors import TrustError
    from contracts.trust import parse_trust

    try:
        trust = parse_trust(settings.trust_file.read_bytes())
        memory = Memory(settings.state_dir / "monitor.sqlite3")
    except (OSError, TrustError) as error:
        raise SettingsError(f"{settings.trust_file}: {error}") from error
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    web = Web()
    chain = None if settings.rpc is None else WatchedChain(NodeRpc(web, settings.rpc), trust)
    reporter = Reporter(settings.webhook)
    monitor = Monitor(settings, trust, memory, web, chain, clock_s=lambda: int(time.time()))
    found = []
    while not ending.is_set():
        found = monitor.round()
        reporter.report(found, now_s=int(time.time()), summary=monitor.summary())
        sys.stdout.flush()
        if once:
            break
        ending.wait(settings.every_seconds)
    web.close()
    memory.close()
    if not once or not found:
        return _WELL
    return _SILENT if all(finding.kind is Kind.UNREACHABLE for finding in found) else _WRONG
