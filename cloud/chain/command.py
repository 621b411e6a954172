"""`minglou chain`: deploy a site's contracts, see how they stand, and bring signed acts to them."""

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cloud.errors import CloudError, SettingsError
from cloud.settings import read_secret
from contracts.errors import ContractsError

if TYPE_CHECKING:
    from cloud.chain.client import ChainClient

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-commands of `minglou chain`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    deploy = actions.add_parser("deploy", help="deploy the contracts of one site")
    deploy.add_argument("--rpc", required=True, metavar="URL")
    deploy.add_argument(
        "--key-file", type=Path, required=True, metavar="FILE", help="deployer's secp256k1 key in hex, mode 0600"
    )
    deploy.add_argument("--options", type=Path, required=True, metavar="FILE", help="constructor arguments (JSON)")
    deploy.add_argument("--out", type=Path, required=True, metavar="FILE", help="deployment.json to write")
    deploy.add_argument("--trust", type=Path, metavar="FILE", help="trust.json to write")
    deploy.add_argument("--super-log-origin", metavar="HOST/log")
    deploy.add_argument(
        "--super-log-key", type=Path, metavar="FILE", help="super-log's Ed25519 key (PEM); made where missing"
    )
    deploy.add_argument(
        "--witness", action="append", default=[], metavar="VKEY", help="a witness of the super-log; once for each"
    )
    deploy.add_argument("--quorum", type=int, default=0, metavar="K", help="how many of them must cosign (default 0)")
    submit = actions.add_parser("submit", help="bring a signed act (a ballot, a dispute …) from a file to the chain")
    submit.add_argument("file", type=Path, metavar="FILE", help="the act, minglou-act/1")
    submit.add_argument(
        "--key", type=Path, metavar="FILE", help="whoever pays the gas: secp256k1 key in hex; without it, only try"
    )
    status = actions.add_parser("status", help="what the chain can do, and what each contract says of itself")
    roles = actions.add_parser("roles", help="who holds which office, and what it can do")
    doctor = actions.add_parser("doctor", help="ask every endpoint of a cloud's settings, and say what is wrong")
    doctor.add_argument("--config", type=Path, required=True, metavar="FILE", help="the cloud's settings")
    doctor.add_argument("--json", action="store_true", help="for programs")
    for action in (submit, status, roles):
        action.add_argument("--rpc", required=True, metavar="URL")
        action.add_argument("--registry", metavar="ADDRESS", help="instead of the one in --trust")
        action.add_argument(
            "--trust", type=Path, default=Path("trust.json"), metavar="FILE", help="whose Registry (default trust.json)"
        )


def run(arguments: argparse.Namespace) -> int:
    """Run one sub-command; 0 for success, 1 for what the chain refused."""
    actions = {"deploy": _deploy, "submit": _submit, "status": _status, "roles": _roles, "doctor": _doctor}
    try:
        return asyncio.run(actions[arguments.action](arguments)) or 0
    except (CloudError, ContractsError) as error:
        print(f"minglou chain: {error}", file=sys.stderr)
        return 1


async def _deploy(arguments: argparse.Namespace) -> None:
    # Imported here: web3 costs seconds, and `--help` must not pay them.
    from cloud.chain.client import ChainClient, SigningKey
    from cloud.chain.deploy import deploy, read_options, trust_of, write_trust
    from cloud.chain.deployment import write_deployment
    from cloud.cosigners import policy_of
    from cloud.super_log import open_super_key
    from contracts import ed25519

    policy = policy_of(arguments.witness, arguments.quorum)
    public = None
    if arguments.super_log_key is not None:
        public = ed25519.public_bytes(open_super_key(arguments.super_log_key))
    options = read_options(arguments.options, super_log_origin=arguments.super_log_origin, super_log_public=public)
    client = ChainClient([arguments.rpc])
    try:
        deployment = await deploy(client, SigningKey(read_secret(arguments.key_file)), options)
    finally:
        await client.close()
    if arguments.trust is not None:
        trust = trust_of(
            deployment,
            super_log_origin=options.super_log_origin,
            super_log_public=options.super_log_public,
            policy=policy,
        )
        write_trust(arguments.trust, trust)
    write_deployment(arguments.out, deployment)
    print(f"deployed on chain {deployment.chain_id} in blocks from {deployment.from_block}: {arguments.out}")


async def _submit(arguments: argparse.Namespace) -> None:
    from cloud.chain.client import ChainClient, SigningKey
    from cloud.chain.submit import submit

    registry = _registry_of(arguments)
    try:
        encoded = arguments.file.read_bytes()
    except OSError as error:
        raise SettingsError(f"act {arguments.file}: {error.strerror}") from error
    key = SigningKey(read_secret(arguments.key)) if arguments.key is not None else None
    client = ChainClient([arguments.rpc])
    try:
        done = await submit(client, encoded, registry=registry, key=key)
    finally:
        await client.close()
    what = f"{done.act.contract}.{done.act.function}"
    if done.transaction is None:
        print(f"{what} would be accepted now; nothing was sent, for that takes --key")
    else:
        print(f"{what} is in block {done.block_number}, {done.gas_used:,} gas: transaction {done.transaction}")


async def _status(arguments: argparse.Namespace) -> None:
    from cloud.chain.status import status_lines

    await _print_lines(arguments, status_lines)


async def _roles(arguments: argparse.Namespace) -> None:
    from cloud.chain.status import roles_lines

    await _print_lines(arguments, roles_lines)


async def _doctor(arguments: argparse.Namespace) -> int:
    from cloud.chain.doctor import check_all, table_lines, to_json
    from cloud.settings import load_settings

    checks = await check_all(load_settings(arguments.config))
    told = to_json(checks)
    print(json.dumps(told, indent=1) if arguments.json else "\n".join(table_lines(checks)))
    return 0 if told["ok"] else 1


async def _print_lines(
    arguments: argparse.Namespace, lines_of: Callable[["ChainClient", str], Awaitable[list[str]]]
) -> None:
    from cloud.chain.client import ChainClient

    registry = _registry_of(arguments)
    client = ChainClient([arguments.rpc])
    try:
        print("\n".join(await lines_of(client, registry)))
    finally:
        await client.close()


def _registry_of(arguments: argparse.Namespace) -> str:
    """The Registry's address from --registry or the trust file. Raises `SettingsError`."""
    from contracts.trust import parse_trust

    if arguments.registry is not None:
        if not re.fullmatch(r"0x[0-9a-fA-F]{40}", arguments.registry):
            raise SettingsError(f"--registry {arguments.registry!r} is no address: 0x and 40 hex digits")
        return str(arguments.registry).lower()
    try:
        encoded = arguments.trust.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"{arguments.trust}: {error.strerror}; give --trust FILE (its fingerprint hangs on the notice board) "
            f"or --registry ADDRESS"
        ) from error
    return "0x" + parse_trust(encoded).registry.hex()
