"""`minglou chain status` and `minglou chain roles`: what the contracts say of themselves, in words.

Both need the Registry's address and nothing else. The views are read from the ABIs, so a contract that says more is
shown with more.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cloud.chain.client import CallReverted, ChainClient
from cloud.chain.directory import Directory, abi_of, read_directory, view_function
from cloud.chain.features import probe
from cloud.errors import ChainError
from contracts.abi import unpadded

__all__ = ["roles_lines", "status_lines"]

_BATCHES_SHOWN = 20
_TEXT_LENGTH_MAX = 160
_SECONDS_NAMES = ("delay", "window")

MEANINGS = {
    "manager": "announces changes of witnesses, tariffs and contracts; none takes effect without the committee",
    "committee": "approves or vetoes what the manager announced; anchors after 24 hours of silence",
    "relayer": "anchors the super-log forward and pays gas; cannot make a fact",
    "operator": "closes periods, answers challenges, collects fees, takes surplus bond out when nothing is open",
    "arbiter": "judges the few bill lines that no contract can recompute, downwards only and within the time to answer",
    "cashier": "records payments by receipts under its own key",
    "registrar": "posts the digests of activation letters; enrols nobody alone",
    "tariffs": "announces tariffs; none takes effect without the committee and the delay",
}


async def status_lines(client: ChainClient, registry: str) -> list[str]:
    """Features of the chain, each contract's own figures, and the batches that wait."""
    latest, features = await client.latest(), await probe(client)
    lines = [f"chain {features.chain_id}, block {latest.number} of {_moment(latest.timestamp)}"]
    lines += [f"  {line}" for line in features.lines()]
    directory = await read_directory(client, registry)
    for contract, address in directory.contracts.items():
        lines += ["", f"{contract} at {address}", *await _figures(client, contract, address)]
    return [*lines, "", *await _batches(client, registry)]


async def roles_lines(client: ChainClient, registry: str) -> list[str]:
    """Who holds which office, and what that office can do and cannot."""
    directory = await read_directory(client, registry)
    holders = await _offices(client, directory)
    lines = []
    for office, accounts in holders.items():
        lines.append(f"{office}: {', '.join(accounts) if accounts else 'nobody'}")
        if office in MEANINGS:
            lines.append(f"  {MEANINGS[office]}")
    return [*lines, *_warnings(holders)]


async def _offices(client: ChainClient, directory: Directory) -> dict[str, list[str]]:
    """Accounts by office: the two parties, the relayer, and every role that was ever given and still holds."""
    holders: dict[str, list[str]] = {}
    for office in ("manager", "committee"):
        holders[office] = [await _address(client, "Registry", office, directory.registry)]
    if "AnchorLog" in directory.contracts:
        holders["relayer"] = [await _address(client, "AnchorLog", "relayer", directory.contracts["AnchorLog"])]
    has_role = view_function(abi_of("Registry"), "has_role")
    for role, account in await _roles_ever_given(client, directory.registry):
        holds = has_role.decode(await client.call(directory.registry, has_role.encode(role, account)))[0]
        accounts = holders.setdefault(unpadded(role), [])
        if holds and account not in accounts:
            accounts.append(account)
    return holders


async def _roles_ever_given(client: ChainClient, registry: str) -> list[tuple[bytes, str]]:
    from contracts.calls.registry_events import RoleSet

    topic = "0x" + RoleSet.FORM.topic.hex()
    logs = await _logs(client, registry, topic, 0, (await client.latest()).number)
    found = [(bytes.fromhex(log["topics"][1][2:]), "0x" + log["topics"][2][-40:]) for log in logs]
    return list(dict.fromkeys(found))


async def _logs(client: ChainClient, address: str, topic: str, first: int, last: int) -> list[Mapping[str, Any]]:
    """Events of a range of blocks; a node that finds it too large is asked for its halves, whatever its error says."""
    question = {"address": address, "topics": [topic], "fromBlock": hex(first), "toBlock": hex(last)}
    try:
        answer: list[Mapping[str, Any]] = await client.request("eth_getLogs", question)
        return answer
    except ChainError:
        if first == last:
            raise
    middle = (first + last) // 2
    return [
        *await _logs(client, address, topic, first, middle),
        *await _logs(client, address, topic, middle + 1, last),
    ]


async def _address(client: ChainClient, contract: str, view: str, address: str) -> str:
    function = view_function(abi_of(contract), view)
    return str(function.decode(await client.call(address, function.encode()))[0]).lower()


def _warnings(holders: Mapping[str, Sequence[str]]) -> list[str]:
    """One key in two offices that are meant to watch each other."""
    lines = []
    for one, other in (
        ("manager", "committee"),
        ("relayer", "manager"),
        ("relayer", "committee"),
        ("relayer", "tariffs"),
    ):
        both = set(holders.get(one, ())) & set(holders.get(other, ()))
        lines += [f"WARNING: {account} is {one} and {other}: two parties are one" for account in sorted(both)]
    return lines


async def _figures(client: ChainClient, contract: str, address: str) -> list[str]:
    """Every view that needs no argument and answers with a few words."""
    lines = []
    for item in abi_of(contract):
        if item["type"] != "function" or item["stateMutability"] not in ("view", "pure") or item["inputs"]:
            continue
        if any("[" in output["type"] for output in item["outputs"]):
            continue
        function = view_function(abi_of(contract), item["name"])
        try:
            values = function.decode(await client.call(address, function.encode()))
        except CallReverted as refused:
            lines.append(f"  {item['name']}: refused ({refused})")
            continue
        lines.append(f"  {item['name']}: {_told(item['name'], item['outputs'], values)}"[:_TEXT_LENGTH_MAX])
    return lines


def _told(name: str, outputs: Sequence[Mapping[str, Any]], values: Sequence[Any]) -> str:
    if len(outputs) == 1 and outputs[0]["type"] == "tuple":
        return _told(name, outputs[0]["components"], values[0])
    told = []
    for output, value in zip(outputs, values, strict=True):
        field = output["name"] or name
        told.append((f"{output['name']} " if output["name"] else "") + _word(field, value))
    return ", ".join(told)


def _word(field: str, value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int) and not isinstance(value, bool):
        if field.endswith(("_at", "_end", "_until")):
            return _moment(value) if value else "never"
        if any(part in field for part in _SECONDS_NAMES):
            return f"{value / 86400:g} days"
    return str(value)


async def _batches(client: ChainClient, registry: str) -> list[str]:
    """The newest batches that are not enacted yet."""
    abi = abi_of("Registry")
    count_view, batch_view = view_function(abi, "batch_count"), view_function(abi, "batch")
    count = int(count_view.decode(await client.call(registry, count_view.encode()))[0])
    item = next(item for item in abi if item.get("name") == "batch")
    names = [part["name"] for part in item["outputs"][0]["components"]]
    lines = []
    for number in range(count - 1, max(-1, count - 1 - _BATCHES_SHOWN), -1):
        values = batch_view.decode(await client.call(registry, batch_view.encode(number)))[0]
        batch = dict(zip(names, values, strict=True))
        if not batch["enacted"]:
            when = _moment(batch["effective_at"]) if batch["effective_at"] else "once the other party approves"
            vetoed = f", calls vetoed: {batch['vetoed']:b}" if batch["vetoed"] else ""
            lines.append(f"batch {number} waits: {_parties(batch['parties'])}; may be enacted {when}{vetoed}")
    return lines or ["no batch waits"]


def _parties(parties: int) -> str:
    names = [name for bit, name in ((1, "manager"), (2, "committee"), (4, "a person's signature")) if parties & bit]
    return "signed by " + " and ".join(names) if names else "signed by nobody"


def _moment(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, OSError, ValueError):
        return str(seconds)
