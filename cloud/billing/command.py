"""`minglou billing`: draft a period's bills from the cloud's entries; post them with the operator's own key."""

import argparse
import asyncio
import gc
import json
import os
import sys
from pathlib import Path

from cloud.errors import BillingError, CloudError
from cloud.settings import OperatorSettings, load_operator_settings, load_settings

__all__ = ["add_arguments", "run"]

_STOPPED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-commands of `minglou billing`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    draft = actions.add_parser("draft", help="compute a period's bills from boundary entries and the tariffs on chain")
    draft.add_argument("--config", type=Path, required=True, metavar="FILE", help="the cloud's settings")
    draft.add_argument(
        "--period", required=True, metavar="OPENING..CLOSING", help="boundary dates, such as 20261023..20261122"
    )
    draft.add_argument("--out", type=Path, required=True, metavar="FILE", help="draft.json to write")
    post = actions.add_parser("post", help="close the period on chain with the operator's key and upload the bills")
    post.add_argument("--config", type=Path, required=True, metavar="FILE", help="the operator's settings")
    post.add_argument("draft", type=Path, metavar="DRAFT", help="draft.json, as corrected")
    whole = actions.add_parser(
        "run", help="compute, post and hand in a period's bills; may be stopped and gone on with"
    )
    whole.add_argument("--config", type=Path, required=True, metavar="FILE", help="the cloud's settings")
    whole.add_argument(
        "--operator", type=Path, metavar="FILE", help="the operator's settings; without it, only prepare"
    )
    whole.add_argument("--period", required=True, metavar="OPENING..CLOSING", help="boundary dates")
    whole.add_argument("--folder", type=Path, required=True, metavar="DIR", help="where the run keeps what it has done")
    again = actions.add_parser("replay", help="compute a posted period again and show each line that would differ")
    again.add_argument("--config", type=Path, required=True, metavar="FILE", help="the cloud's settings")
    again.add_argument("--period", required=True, metavar="OPENING..CLOSING", help="boundary dates")
    again.add_argument("--json", action="store_true", help="one JSON object a changed line")
    balance = actions.add_parser("balance", help="sub-meters against their main meters, by day and bus")
    balance.add_argument("--config", type=Path, required=True, metavar="FILE", help="the cloud's settings")
    balance.add_argument("--period", required=True, metavar="FIRST..LAST", help="boundary dates")


def run(arguments: argparse.Namespace) -> int:
    """Run one sub-command; 0 done, 1 refused, 130 stopped."""
    try:
        if arguments.action == "run":
            return asyncio.run(_run(arguments))
        if arguments.action == "replay":
            return asyncio.run(_replay(arguments))
        if arguments.action == "balance":
            return asyncio.run(_balance(arguments))
        if arguments.action == "draft":
            return asyncio.run(_draft(arguments))
        return asyncio.run(
            _post(load_operator_settings(arguments.config), arguments.draft, _read_draft(arguments.draft))
        )
    except KeyboardInterrupt:
        print("minglou billing: stopped; the same command goes on where it stood", file=sys.stderr)
        return _STOPPED
    except CloudError as error:
        print(f"minglou billing: {error}", file=sys.stderr)
        return 1


def _read_draft(file: Path) -> str:
    try:
        return file.read_text()
    except OSError as error:
        raise BillingError(f"draft {file} cannot be read: {error}; make one with `minglou billing draft`") from error


async def _run(arguments: argparse.Namespace) -> int:
    from cloud.billing.draft import parse_period
    from cloud.billing.kept import bill_place
    from cloud.billing.posting import Posting
    from cloud.billing.run import BillRun
    from cloud.chain.deployment import read_deployment
    from cloud.chain.stored import stored_view
    from cloud.directory import DirectoryFile
    from cloud.sealed_store import open_store

    settings = load_settings(arguments.config)
    if settings.chain is None:
        raise BillingError(f"{arguments.config} names no [chain]; bills need tariffs and bindings")
    operator = load_operator_settings(arguments.operator) if arguments.operator else None
    place = bill_place(read_deployment(settings.chain.deployment_file), parse_period(arguments.period))
    store = open_store(settings)
    try:
        view = await stored_view(store, settings.chain.chain_id)
        gc.freeze()  # a roll's many small objects stay: no need to walk them again and again
        bills = BillRun.open(arguments.folder, place, view.unit_count_of(place.period))
        directory = DirectoryFile(settings.directory_file).read()
        async with store.read() as connection:
            prepared = await bills.prepare(connection, view=view, directory=directory, say=_say)
    finally:
        await store.close()
    root = prepared.tree.root
    print(f"{prepared.tree.unit_count} bills of {place.period}, {root.sums >> 192} fen in all, root {root.hash.hex()}")
    for problem in prepared.problems:
        print(f"  look at: {problem}")
    if operator is None:
        print("nothing is posted: name the operator's settings with --operator")
        return 0
    async with Posting(operator, place, say=_say) as posting:
        await posting.close(root, unit_count=prepared.tree.unit_count)
        await posting.post_volumes(prepared.volumes)
        await posting.upload(
            prepared.contents, prepared.tree, lambda held: _say(f"{held:,} of {prepared.tree.unit_count:,} handed in")
        )
        mismatches = await posting.compare(prepared.contents)
        await posting.give_credits(prepared.contents)
    bills.finish()
    for mismatch in mismatches:
        print(f"  the cloud computes otherwise: {mismatch}")
    print(f"posted period {place.period}; the cloud holds its bills, and {arguments.folder} no household's any more")
    return 0


async def _replay(arguments: argparse.Namespace) -> int:
    from cloud.billing.draft import parse_period
    from cloud.billing.replay import replay_period
    from cloud.chain.deployment import read_deployment
    from cloud.chain.stored import stored_view
    from cloud.directory import DirectoryFile
    from cloud.sealed_store import open_store

    settings = load_settings(arguments.config)
    if settings.chain is None:
        raise BillingError(f"{arguments.config} names no [chain]; bills need tariffs and bindings")
    period = parse_period(arguments.period)
    store = open_store(settings)
    changed = difference = 0
    try:
        view = await stored_view(store, settings.chain.chain_id)
        directory = DirectoryFile(settings.directory_file).read()
        deployment = read_deployment(settings.chain.deployment_file)
        async with store.read() as connection:
            async for change in replay_period(
                connection, view=view, directory=directory, deployment=deployment, period=period
            ):
                changed, difference = changed + 1, difference + change.difference_fen
                unit = directory.unit_of(view.roll[change.unit_index].alias)
                name = unit.name if unit else f"unit {change.unit_index}"
                print(
                    json.dumps(change.to_json(), ensure_ascii=False) if arguments.json else f"{name}: {change.says()}"
                )
    finally:
        await store.close()
    _say(f"{changed} lines of {period} would differ, by {difference / 100:.2f} yuan in all")
    return 0


async def _balance(arguments: argparse.Namespace) -> int:
    from datetime import datetime

    from cloud.billing.balance import deviations, read_balance
    from cloud.billing.draft import parse_period
    from cloud.chain.stored import stored_view
    from cloud.directory import DirectoryFile
    from cloud.sealed_store import open_store

    settings = load_settings(arguments.config)
    if settings.chain is None:
        raise BillingError(f"{arguments.config} names no [chain]; which meter writes to which log stands there")
    first, last = (
        datetime.strptime(str(day), "%Y%m%d").date()  # noqa: DTZ007 - a boundary date has no zone
        for day in divmod(parse_period(arguments.period), 10**8)
    )
    store = open_store(settings)
    try:
        view = await stored_view(store, settings.chain.chain_id)
        buses = DirectoryFile(settings.directory_file).read().buses
        if not buses:
            raise BillingError(f'{settings.directory_file} names no "buses"; list main meters and what hangs on them')
        for bus in buses:
            async with store.read() as connection:
                days = await read_balance(connection, view, bus, first=first, last=last)
            for day in days:
                print(f"{bus.name} {day.day}: {day.says()}")
            for one in deviations(days):
                print(f"{bus.name}: {one.says()}")
    finally:
        await store.close()
    return 0


def _say(words: str) -> None:
    print(f"minglou billing: {words}", file=sys.stderr, flush=True)


async def _draft(arguments: argparse.Namespace) -> int:
    from cloud.billing.draft import draft_period, draft_to_json, parse_period
    from cloud.chain.deployment import read_deployment
    from cloud.chain.stored import stored_view
    from cloud.directory import DirectoryFile
    from cloud.sealed_store import open_store

    settings = load_settings(arguments.config)
    if settings.chain is None:
        raise BillingError(f"{arguments.config} names no [chain]; bills need tariffs and bindings")
    period = parse_period(arguments.period)
    store = open_store(settings)
    try:
        view = await stored_view(store, settings.chain.chain_id)
        async with store.read() as connection:
            draft = await draft_period(
                connection,
                view=view,
                directory=DirectoryFile(settings.directory_file).read(),
                deployment=read_deployment(settings.chain.deployment_file),
                period=period,
            )
    finally:
        await store.close()
    # Names, readings and salts of households: readable by the operator only.
    with os.fdopen(os.open(arguments.out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(draft_to_json(draft), file, indent=1, ensure_ascii=False)
    lines = sum(len(unit.lines) for unit in draft.units)
    total = sum(one.line.amount for unit in draft.units for one in unit.lines)
    print(f"drafted {len(draft.units)} bills with {lines} lines, {total} fen in all: {arguments.out}")
    for problem in draft.problems:
        print(f"  look at: {problem}")
    return 0


async def _post(settings: OperatorSettings, file: Path, text: str) -> int:
    from cloud.billing.bill_block import BillPlace, leaves_of
    from cloud.billing.draft import contents_of, draft_from_json
    from cloud.billing.posting import Posting
    from contracts.bill import BillTree
    from contracts.errors import ContractsError

    try:
        draft = draft_from_json(json.loads(text))
        place = BillPlace(chain_id=draft.chain_id, contract=draft.contract, site=draft.site, period=draft.period)
        contents = contents_of(draft)
        tree = BillTree(leaves_of(contents, place))
    except (ValueError, ContractsError) as error:
        raise BillingError(f"draft {file}: {error}") from error
    async with Posting(settings, place, say=_say) as posting:
        await posting.close(tree.root, unit_count=tree.unit_count)
        await posting.post_volumes(draft.volumes)
        await posting.upload(contents, tree)
        mismatches = await posting.compare(contents)
        await posting.give_credits(contents)
    print(f"posted {tree.unit_count} bills of {draft.period}, root {tree.root.hash.hex()}")
    for mismatch in mismatches:
        print(f"  the cloud computes otherwise: {mismatch}")
    print(f"{file} still holds every household's lines and the salts that hide them on chain: delete it")
    return 0
