"""`minglou chain`: deploy a site's contracts."""

import argparse
import asyncio
import sys
from pathlib import Path

from cloud.errors import CloudError
from cloud.settings import read_secret

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-commands of `minglou chain`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    deploy = actions.add_parser("deploy", help="deploy Token, Registry, AnchorLog, Tariffs and UsageFees of one site")
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


def run(arguments: argparse.Namespace) -> int:
    """Run one sub-command; 0 for success, 1 for what the chain refused."""
    try:
        asyncio.run(_deploy(arguments))
    except CloudError as error:
        print(f"minglou chain: {error}", file=sys.stderr)
        return 1
    return 0


async def _deploy(arguments: argparse.Namespace) -> None:
    # Imported here: web3 costs seconds, and `--help` must not pay them.
    from cloud.chain.client import ChainClient, SigningKey
    from cloud.chain.deploy import deploy, read_options, trust_of, write_trust
    from cloud.chain.deployment import write_deployment
    from cloud.super_log import open_super_key
    from contracts import ed25519

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
            deployment, super_log_origin=options.super_log_origin, super_log_public=options.super_log_public
        )
        write_trust(arguments.trust, trust)
    write_deployment(arguments.out, deployment)
    print(f"deployed on chain {deployment.chain_id} in blocks from {deployment.from_block}: {arguments.out}")
