"""People's signed acts about repairs, meters and crews' keys on their way to the chain; the cloud pays the gas.

An act proves itself to its contract; here it is only tried first, so that nobody pays for what would be refused. The
contract may also be told of it by anybody else: `minglou chain submit` takes the same file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.chain.client import CallReverted
from cloud.chain.deployment import CONTRACTS
from cloud.chain.directory import abi_of, selector_of
from cloud.chain.intents import add_intent, intent_state, wish_again
from cloud.chain.sender import AlreadyDone, NotYet, Transaction
from cloud.errors import ChainError, CloudError
from cloud.maintenance.ground import Ground
from cloud.store import tables
from contracts.abi import Call
from contracts.act_file import Act, ActError, format_act, parse_act
from contracts.errors import ContractsError

__all__ = ["RELAYED", "ActRefused", "Acts", "RelayedAct"]

Built = Transaction | AlreadyDone | NotYet
RELAYED: Mapping[str, frozenset[str]] = {
    "WorkOrders": frozenset({"report", "withdraw", "accept_as_firm", "finish", "confirm", "reopen"}),
    "Bindings": frozenset({"swap_signed", "attest", "confirm"}),
    "Crews": frozenset({"revoke_crew_key"}),
}
"""What the cloud pays for, by contract: everything else is its sender's own to pay."""
_OF_A_KEY_A_DAY = 30
_OPEN_OF_A_KEY = 10
_OPEN_MAX = 100  # of all keys; each may have one more all the same, so that nobody locks the others out
_REFUSED = "refused: "  # how a wish begins to say that its contract takes the act no more
_DAY_MS = 86_400_000
_ENDED = ("refused", "done", "final")
_LOCK = "acts"


class ActRefused(CloudError):
    """An act is not relayed. `status` is the HTTP status, `code` the stable word for programs."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayedAct:
    """Where an act stands: pending, sent, mined, final; or refused, in its contract's words: it may have taken the same
    act from somebody else, or another one came first. Handed in again, a refused act is tried again.
    """

    digest: bytes  # SHA-256 of the file as `format_act` lays it out: the act's name
    state: str
    says: str

    def to_json(self) -> dict[str, str]:
        """The answer to whoever relayed it."""
        return {"act": self.digest.hex(), "state": self.state, "message": self.says}


class Acts:
    """Takes acts, and builds `act` intents."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def take(self, encoded: bytes) -> RelayedAct:
        """Queue one `minglou-act/1`; the same act again, however laid out, changes nothing and tells where it stands.

        Raises:
            ActRefused: no act, none that is relayed, for another place, or refused by its contract in its words.
        """
        try:
            act = parse_act(encoded, abi_of)
        except ActError as error:
            raise ActRefused(400, "malformed", f"{error}; send one minglou-act/1") from error
        encoded = format_act(act, abi_of(act.contract))
        digest = sha256(encoded).digest()
        prefix = f"act:{next(_signers(act.arguments), b'').hex()[:16]}:"
        key = prefix + digest.hex()
        known = await self._state(key)
        if known is not None and known[0] != "refused":
            return RelayedAct(digest=digest, state=known[0], says=known[1])
        self._check_place(act)
        await self._try(act)
        now_ms = self._ground.clock.now_ms()
        async with self._ground.store.write(_LOCK) as connection:
            await _check_count(connection, prefix, now_ms)
            if known is not None:
                await wish_again(connection, key, states=_ENDED, now_ms=now_ms)
            else:
                await add_intent(connection, key, "act", {"act": encoded.decode()}, now_ms=now_ms)
        return RelayedAct(digest=digest, state="pending", says="")

    async def act(self, params: Mapping[str, Any]) -> Built:
        """`{"act"}`: the call that the file names, while its contract takes it."""
        try:
            call = _call(parse_act(str(params["act"]).encode(), abi_of))
            await self._ground.reader.call(call.to, call.data)
        except (CallReverted, ContractsError) as refusal:  # it took the act when it was handed in
            return AlreadyDone(says=_REFUSED + (str(refusal) or "no reason given"))
        return Transaction(to=call.to, data=call.data)

    def _check_place(self, act: Act) -> None:
        if act.function not in RELAYED.get(act.contract, ()):
            says = (
                f"{act.contract}.{act.function} is not relayed here; `minglou chain submit` sends it with your own key"
            )
            raise ActRefused(403, "not_relayed", says)
        deployment = self._ground.deployment
        address = next((getattr(deployment, name) for name, one in CONTRACTS.items() if one == act.contract), "")
        if act.chain_id != deployment.chain_id or not address or act.address != address:
            says = (
                f"it is for {act.contract} at {act.address} on chain {act.chain_id}; this site's is {address or 'none'}"
            )
            raise ActRefused(422, "wrong_place", f"{says} on {deployment.chain_id}")

    async def _try(self, act: Act) -> None:
        call = _call(act)
        try:
            await self._ground.reader.call(call.to, call.data)
        except CallReverted as reverted:
            says = str(reverted) or "no reason given"
            raise ActRefused(422, "refused", f"{act.contract} refuses this {act.function} now: {says}") from reverted
        except ChainError as error:
            raise ActRefused(
                503, "no_chain", f"the chain cannot be asked now ({error}); send it again later"
            ) from error

    async def _state(self, key: str) -> tuple[str, str] | None:
        async with self._ground.store.read() as connection:
            known = await intent_state(connection, key)
        if known is not None and known[0] in _ENDED and known[1].startswith(_REFUSED):
            return "refused", known[1].removeprefix(_REFUSED)
        return known


async def _check_count(connection: AsyncConnection, prefix: str, now_ms: int) -> None:
    """Refuse what one key sends too often, in the transaction that would note it."""
    column = tables.intents.c
    of_key = column.business_key.startswith(prefix, autoescape=True)
    is_open = (column.kind == "act") & column.state.in_(("pending", "sent"))

    async def count(where: ColumnElement[bool]) -> int:
        return int((await connection.execute(select(func.count()).where(where))).scalar_one())

    today = await count(of_key & (column.created_at_ms > now_ms - _DAY_MS))
    own, waiting = await count(of_key & is_open), await count(is_open)
    if today >= _OF_A_KEY_A_DAY or own >= _OPEN_OF_A_KEY or (own and waiting >= _OPEN_MAX):
        says = f"this key has sent {today} acts today; {own} of its acts wait, and {waiting} of all keys"
        raise ActRefused(429, "too_many", f"{says}; send it again later")


def _call(act: Act) -> Call:
    abi = abi_of(act.contract)
    return act.call(abi, selector=selector_of(act.signature(abi)))


def _signers(arguments: Any) -> Iterator[bytes]:
    """The key ids of the signatures in an act's arguments."""
    if isinstance(arguments, Mapping):
        if {"key_id", "r", "s"} <= arguments.keys():
            yield arguments["key_id"]
        for value in arguments.values():
            yield from _signers(value)
