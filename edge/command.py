"""`minglou edge`: run the gateway, show its identity for enrolment, or ask a running one how it is."""

import argparse
import json
import sys
from hashlib import sha256
from pathlib import Path

from edge.errors import EdgeError
from edge.settings import Settings, read_settings

_STATUS_SECONDS = 5.0
_SWITCH_SECONDS = 0.0005
_END_SECONDS = 25.0  # from the signal on: collectors, the writer's last commit, a signature; then by force


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-commands and their options."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="run|identity|status|forget-display")
    for name, says in (
        ("run", "collect, sign and forward until stopped"),
        ("identity", "make the key on first use; print what enrolment needs, as JSON"),
        ("status", "ask the running gateway how it is"),
        ("forget-display", "let another display be paired in the place of one that was replaced"),
    ):
        command = commands.add_parser(name, help=says)
        command.add_argument("--config", type=Path, required=True, help="the gateway's TOML file")
        if name == "forget-display":
            command.add_argument("urn", help="the display's URN in the gateway's file")
        if name == "status":
            command.add_argument("--json", action="store_true", help="everything, as JSON")


def run(arguments: argparse.Namespace) -> int:
    """0 done, 1 it failed; the reason stands on stderr."""
    try:
        settings = read_settings(arguments.config)
        if arguments.action == "run":
            return _run(settings)
        if arguments.action == "identity":
            return _identity(settings)
        if arguments.action == "forget-display":
            return _forget_display(settings, arguments.urn)
        return _status(settings, as_json=arguments.json)
    except EdgeError as error:
        sys.stderr.write(f"edge: {error}\n")
        return 1


def _run(settings: Settings) -> int:
    import asyncio
    import gc
    import logging
    import random
    import signal

    from contracts.ending import end_process_within
    from edge.gateway import Gateway

    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s", stream=sys.stderr)

    def say(line: str) -> None:
        print(line, flush=True)

    async def main() -> None:
        # What is loaded by now stays for years: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        # The writer needs the lock back after every statement; five milliseconds each time would be its whole day.
        sys.setswitchinterval(_SWITCH_SECONDS)
        stop = asyncio.Event()

        def told_to_stop() -> None:
            end_process_within(_END_SECONDS)
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, told_to_stop)
        gateway = Gateway(settings, rng=random.Random(), say=say)
        await gateway.run(stop)

    failed = False
    try:
        asyncio.run(main())
    except* EdgeError as errors:
        failed = True
        for error in errors.exceptions:
            sys.stderr.write(f"edge: {error}\n")
    return int(failed)


def _identity(settings: Settings) -> int:
    from contracts import p256
    from edge.keys import Secrets, load_or_create_key

    public = p256.public_bytes(load_or_create_key(settings.key_file, settings.key_password_file))
    spki = p256.spki(public)
    secrets = Secrets(settings.data_dir)
    identity = {
        "origin": settings.origin,
        "public": public.hex(),
        "class": "file",
        "claim_code": secrets.claim_code,
        "spki": spki.hex(),
        "fingerprint": sha256(spki).hexdigest(),
    }
    print(json.dumps(identity, indent=1))
    return 0


def _forget_display(settings: Settings, urn: str) -> int:
    from contracts.entry import device_id
    from edge.presence.secrets import DisplaySecrets

    if urn not in {device.urn for device in settings.devices}:
        raise EdgeError(f"{urn} is no [[device]] of this gateway; write its URN as it stands there")
    if not DisplaySecrets(settings.data_dir).forget(device_id(urn), settings.clock.now_ms()):
        raise EdgeError(f"{urn} is not paired; a display is paired when it is first connected")
    print(f"{urn} is forgotten; the next display that tells a secret as {urn} is paired")
    return 0


def _status(settings: Settings, *, as_json: bool) -> int:
    from http.client import HTTPConnection, HTTPException

    if settings.status is None:
        raise EdgeError("the settings have no [status] listen; add it to ask a running gateway")
    where = settings.status
    connection = HTTPConnection(where.host, where.port, timeout=_STATUS_SECONDS)
    try:
        connection.request("GET", "/status.json")
        fields = json.loads(connection.getresponse().read())
    except (OSError, HTTPException, ValueError) as error:
        raise EdgeError(f"nothing answers at {where.host}:{where.port} ({error}); is `minglou edge run` on?") from error
    finally:
        connection.close()
    if as_json:
        print(json.dumps(fields, indent=1))
        return 0
    for name in ("origin", "state", "entries", "checkpoint_size", "uploaded", "anchored"):
        print(f"{name:16} {fields[name]}")
    for one in fields["collectors"]:
        print(f"  {one['name']:18} {one['state']:8} {one['last_error']}")
    for device in fields["devices"]:
        print(f"  {device['urn']:52} {device['readings']:8} readings, {device['suspect']} suspect")
    return 0
