"""`minglou identity`: on the cloud's own machine: first letters, who has access and its end, tokens, the audit log."""

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cloud.errors import CloudError
from cloud.identity.roles import HOUSEHOLD, Role
from cloud.identity.tokens import SCOPES_OF, Scope
from cloud.settings import CloudSettings, load_settings

if TYPE_CHECKING:
    from cloud.identity.identity import Identity
    from cloud.identity.people import Grant
    from cloud.store import Store

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-commands of `minglou identity`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    invite = actions.add_parser("invite", help="print the code of a letter", description="print the code of a letter")
    invite.add_argument("--role", required=True, choices=[role.value for role in Role], help="what it opens")
    invite.add_argument("--unit", metavar="NAME", help="the flat of an owner or tenant, such as b07-0501")
    invite.add_argument("--firm", metavar="NAME", help="of a crew or firm")
    token = actions.add_parser("token", help="print a new token for a program", description="shown this once")
    token.add_argument("--name", required=True, help="the program that will use it")
    token.add_argument("--scope", action="append", required=True, choices=sorted(SCOPES_OF[Role.OPERATOR]))
    token.add_argument("--days", type=int, default=90, help="how long it is good for (90)")
    says = "who holds which role at present, each with its number"
    held = actions.add_parser("list", help=says, description=says)
    says = "end access: sessions, and the letters and tokens that were made with it"
    revoke = actions.add_parser("revoke", help=says, description=says)
    revoke.add_argument("--number", type=int, action="append", default=[], metavar="N", help="as `list` shows it")
    for action in (held, revoke):
        action.add_argument("--unit", metavar="NAME", help="of one flat, such as b07-0501")
        action.add_argument("--role", choices=[role.value for role in Role], help="in one role")
    says = "recompute the audit log and hold it against every signed head"
    audit = actions.add_parser("audit", help=says, description=says)
    says = "wrap all data keys under another master key, while no cloud runs"
    rewrap = actions.add_parser("rewrap", help=says, description=says)
    rewrap.add_argument("--to", type=Path, required=True, metavar="FILE", help="the new master key; made if missing")
    for action in (invite, token, held, revoke, audit, rewrap):
        action.add_argument("--config", type=Path, required=True, metavar="FILE", help="the cloud's settings (TOML)")


def run(arguments: argparse.Namespace) -> int:
    """Run one sub-command; 0 done, 2 for wrong settings or a log that does not hold."""
    try:
        print(asyncio.run(_run(arguments, load_settings(arguments.config))))
    except CloudError as error:
        print(f"minglou identity: {error}", file=sys.stderr)
        return 2
    return 0


def _rewrap(settings: CloudSettings, new: Path) -> str:
    from cloud.identity.key_store import new_master
    from cloud.identity.vault import open_vault

    vault = open_vault(settings.keys_dir, settings.master_key_file)
    try:
        count = vault.rewrap(new_master(new))
    finally:
        vault.close()
    return f"{count} data keys wrapped under {new}; name it as [identity] master_key_file, then destroy the old one"


async def _run(arguments: argparse.Namespace, settings: CloudSettings) -> str:
    if arguments.action == "rewrap":
        return _rewrap(settings, arguments.to)
    from cloud.service import open_audit_log
    from cloud.store import Store

    store = Store(settings.store_url)
    try:
        await store.migrate()
        if arguments.action == "audit":
            log = open_audit_log(settings, store)
            count = await log.check()
            return f"{log.origin}: {count} entries, as signed"
        return await _ACTIONS[arguments.action](arguments, settings, store)
    finally:
        await store.close()


async def _invite(arguments: argparse.Namespace, settings: CloudSettings, store: "Store") -> str:
    role = Role(arguments.role)
    alias = _alias(settings, arguments.unit) if role in HOUSEHOLD else None
    identity = _identity(settings, store)
    made = await identity.invite(None, role, unit=alias, firm=arguments.firm, now_ms=settings.clock.now_ms())
    return f"{made.code}  at {settings.public_url.rstrip('/')}/join, once, within 30 days"


async def _token(arguments: argparse.Namespace, settings: CloudSettings, store: "Store") -> str:
    from cloud.identity.tokens import Tokens

    scopes = [Scope(scope) for scope in arguments.scope]
    now_ms = settings.clock.now_ms()
    secret, _ = await Tokens(store).make(None, arguments.name, scopes, days=arguments.days, now_ms=now_ms)
    return secret


async def _list(arguments: argparse.Namespace, settings: CloudSettings, store: "Store") -> str:
    names = _names(settings)
    return "\n".join(_shown(one, names) for one in await _held(arguments, settings, store)) or "nobody"


async def _revoke(arguments: argparse.Namespace, settings: CloudSettings, store: "Store") -> str:
    from cloud.errors import IdentityRefused

    if not (arguments.number or arguments.unit or arguments.role):
        raise IdentityRefused(422, "nobody", "say whose access ends: --number N of `minglou identity list`, or --unit")
    identity, names = _identity(settings, store), _names(settings)
    numbers = arguments.number or [one.number for one in await _held(arguments, settings, store)]
    ended = [await identity.end_grant(None, number, settings.clock.now_ms()) for number in numbers]
    return "\n".join(f"ended: {_shown(one, names)}" for one in ended) or "nobody holds such a role"


async def _held(arguments: argparse.Namespace, settings: CloudSettings, store: "Store") -> "Sequence[Grant]":
    roles = frozenset(Role) if arguments.role is None else frozenset({Role(arguments.role)})
    unit = None if arguments.unit is None else _alias(settings, arguments.unit)
    return await _identity(settings, store).holders(roles, unit=unit)


def _shown(grant: "Grant", names: Mapping[bytes, str]) -> str:
    since = datetime.fromtimestamp(grant.granted_at_ms / 1000, UTC)
    what = " ".join(word for word in (grant.role.value, names.get(grant.unit or b"", ""), grant.firm) if word)
    return f"{grant.number:>6}  {what}, since {since:%Y-%m-%d}, account {grant.account.hex()[:8]}"


def _names(settings: CloudSettings) -> Mapping[bytes, str]:
    from cloud.directory import DirectoryFile

    return {unit.alias: unit.name for unit in DirectoryFile(settings.directory_file).read().units}


def _alias(settings: CloudSettings, name: str | None) -> bytes:
    """A flat's alias by its name. Raises `IdentityRefused`."""
    from cloud.directory import DirectoryFile
    from cloud.errors import IdentityRefused

    unit = DirectoryFile(settings.directory_file).read().unit_named(name or "")
    if unit is None:
        raise IdentityRefused(422, "unit", f"--unit {name}: no such flat in {settings.directory_file}")
    return unit.alias


def _identity(settings: CloudSettings, store: "Store") -> "Identity":
    from cloud.identity.identity import Identity
    from cloud.identity.passkeys import Passkeys
    from cloud.service import open_audit_log

    return Identity(store, Passkeys(public_url=settings.public_url, site=""), open_audit_log(settings, store))


_ACTIONS = {"invite": _invite, "token": _token, "list": _list, "revoke": _revoke}
