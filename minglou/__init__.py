"""The `minglou` program: one word names a room's command, and only that room is imported.

It may import every room, but no room's code runs before its word is asked for: `minglou --help` stays quick on a
Raspberry Pi, where a chain client alone would cost seconds.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["main"]

USAGE_ERROR = 2


class _Command(NamedTuple):
    module: str  # has add_arguments(parser) and run(arguments) -> exit code
    extra: str  # what `pip install minglou[…]` adds for it; empty where the package alone suffices
    summary: str


COMMANDS: Mapping[str, _Command] = MappingProxyType(
    {
        "verify": _Command("minglou.verify", "", "check an evidence file by yourself"),
        "edge": _Command("edge.command", "edge", "the gateway in a building: run, status, identity"),
        "cloud": _Command(
            "cloud.command", "cloud", "the service that gateways report to: serve, migrate, rebuild, export"
        ),
        "identity": _Command("cloud.identity.command", "cloud", "first letters, programs' tokens, the audit log"),
        "mirror": _Command("cloud.mirror.command", "cloud", "an independent copy of a cloud's logs: run, verify, key"),
        "chain": _Command("cloud.chain.command", "cloud", "the contracts: deploy"),
        "billing": _Command("cloud.billing.command", "cloud", "a period's bills: draft, post"),
        "witness": _Command("cloud.witness.command", "witness", "cosign a log while it only grows: run, vkey"),
        "monitor": _Command("cloud.monitor.command", "monitor", "follow a deployment's logs and anchors: run"),
        "homeassistant": _Command(
            "minglou.homeassistant", "homeassistant", "one's own meters and bills in Home Assistant: run"
        ),
        "provision": _Command("provisioning.command", "", "a site from its site file: keys, enrolment"),
        "building": _Command("devices.simulated.command", "edge", "a simulated building, real protocols"),
        "demo": _Command("provisioning.demo.command", "dev", "one month from meter to bill, on this machine"),
    }
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 it failed, 2 it was asked wrongly."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(_help())
        return 0 if words else USAGE_ERROR
    if words[0] == "--version":
        from importlib.metadata import version

        sys.stdout.write(f"minglou {version('minglou')}\n")
        return 0
    command = COMMANDS.get(words[0])
    if command is None:
        sys.stderr.write(f"minglou: there is no command {words[0]!r}; it is one of {', '.join(COMMANDS)}\n")
        return USAGE_ERROR
    try:
        room = import_module(command.module)
    except ModuleNotFoundError as error:
        sys.stderr.write(_missing(words[0], command, error))
        return USAGE_ERROR
    parser = argparse.ArgumentParser(prog=f"minglou {words[0]}", description=room.__doc__)
    room.add_arguments(parser)
    code: int = room.run(parser.parse_args(words[1:]))
    return code


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = "".join(f"  {word:<{width}}  {command.summary}\n" for word, command in COMMANDS.items())
    return (
        "usage: minglou COMMAND …\n\n"
        "Minglou (明楼): bills and lift visits that the people of a building can check by themselves.\n\n"
        f"{lines}\n`minglou COMMAND --help` tells more; `minglou --version` tells which one this is.\n"
    )


def _missing(word: str, command: _Command, error: ModuleNotFoundError) -> str:
    remedy = f"pip install 'minglou[{command.extra}]'" if command.extra else "install minglou again"
    return f"minglou {word}: {error.name} is not installed here; {remedy}\n"
