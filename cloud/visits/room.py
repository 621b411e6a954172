"""Where signed visits are taken: checked as far as a postman can, stored once, found again by their digest."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from cloud.directory import DirectoryFile
from cloud.errors import CloudError
from cloud.mail import Bell
from cloud.store import Store, insert_new, tables
from cloud.visits.letters import KEPT_S, find_judgement, gateway_of
from contracts.clock import Clock
from contracts.errors import ContractsError
from contracts.signed_visit import SignedVisit, parse_signed_visit, signed_visit_to_json, verify_signed_visit
from contracts.visit import NOBODY, VisitError

__all__ = ["StoredVisit", "VisitRefused", "VisitRoom"]

UNJUDGED_MAX = 200  # of one gateway
_AHEAD_S = 10 * 60


class VisitRefused(CloudError):
    """A visit is not taken. `status` is the HTTP status, `code` the stable word for programs."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVisit:
    """A visit that is kept here, and its gateway's entry once there is one."""

    digest: bytes
    level: int | None
    origin: str | None
    index: int | None

    def to_json(self) -> dict[str, Any]:
        """The answer to whoever relayed it."""
        entry = None if self.index is None else {"origin": self.origin, "index": str(self.index)}
        state = "waiting" if entry is None else "judged"
        return {"digest": self.digest.hex(), "state": state, "level": self.level, "entry": entry}


class VisitRoom:
    """Takes and finds visits."""

    def __init__(
        self,
        *,
        store: Store,
        directory: DirectoryFile,
        bell: Bell,
        clock: Clock,
        chain_id: int,
        contract: str | None,
        unjudged_max: int = UNJUDGED_MAX,
    ) -> None:
        self._store = store
        self._directory = directory
        self._bell = bell
        self._clock = clock
        self._chain_id = chain_id
        self._contract = contract
        self._unjudged_max = unjudged_max

    async def take(self, encoded: bytes) -> StoredVisit:
        """Keep one signed visit for its gateway; the same visit again changes nothing.

        Raises:
            VisitRefused: what no gateway would judge, or whose crew is not known here.
        """
        signed = self._checked(encoded)
        visit, digest = signed.visit, signed.visit.digest()
        device = self._directory.read().device_of(visit.device)
        assert device is not None, "checked"
        gateway, column = gateway_of(device.origin), tables.visits.c
        async with self._store.write() as connection:
            known = await connection.execute(select(column.digest).where(column.digest == digest))
            if known.scalar_one_or_none() is None:
                # What is too old for any gateway to judge waits no more.
                unjudged = select(func.count()).where(
                    column.gateway == gateway,
                    column.entry_index.is_(None),
                    column.started_at_s > self._clock.now_ms() // 1000 - KEPT_S,
                )
                if (await connection.execute(unjudged)).scalar_one() >= self._unjudged_max:
                    says = f"{self._unjudged_max} visits wait for {gateway} already; send it again when they are judged"
                    raise VisitRefused(429, "too_many", says)
                await insert_new(connection, tables.visits, self._row(signed, gateway))
        self._bell.ring()
        found = await self.find(digest)
        assert found is not None, "just stored"
        return found

    async def find(self, digest: bytes) -> StoredVisit | None:
        """The visit of a digest; None where it was never taken."""
        async with self._store.read() as connection:
            query = select(tables.visits).where(tables.visits.c.digest == digest)
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                return None
            entry = await find_judgement(connection, row)
        return StoredVisit(
            digest=digest,
            level=entry.value if entry else None,
            origin=entry.origin if entry else None,
            index=entry.entry_index if entry else None,
        )

    def _row(self, signed: SignedVisit, gateway: str) -> dict[str, Any]:
        visit = signed.visit
        return {
            "digest": visit.digest(),
            "device": visit.device,
            "gateway": gateway,
            "file": json.dumps(signed_visit_to_json(signed), separators=(",", ":")),
            "visit_class": int(visit.visit_class),
            "started_at_s": visit.started_at_s,
            "ended_at_s": visit.ended_at_s,
            "received_at_ms": self._clock.now_ms(),
        }

    def _checked(self, encoded: bytes) -> SignedVisit:
        if self._contract is None:
            raise VisitRefused(503, "no_maintenance", "this cloud relays no visits; name [maintenance] contract")
        try:
            signed = parse_signed_visit(encoded)
        except ContractsError as error:
            raise VisitRefused(400, "malformed", f"{error}; send one minglou-signed-visit/1") from error
        if (signed.chain_id, signed.contract) != (self._chain_id, self._contract):
            says = f"it is signed for {signed.contract} on chain {signed.chain_id}; this site's is {self._contract}"
            raise VisitRefused(422, "wrong_contract", f"{says} on {self._chain_id}")
        if self._directory.read().device_of(signed.visit.device) is None:
            raise VisitRefused(404, "unknown_device", "no gateway here looks after this device; is it another site's?")
        self._check_times(signed)
        try:
            verify_signed_visit(signed)
        except VisitError as error:
            raise VisitRefused(422, "bad_signature", str(error)) from error
        self._check_crew(signed)
        return signed

    def _check_times(self, signed: SignedVisit) -> None:
        visit, now_s = signed.visit, self._clock.now_ms() // 1000
        if visit.ended_at_s > now_s + _AHEAD_S:
            raise VisitRefused(
                422, "bad_time", f"it ends {visit.ended_at_s - now_s} s from now; check the phone's clock"
            )
        if visit.started_at_s < now_s - KEPT_S:
            raise VisitRefused(422, "bad_time", "it began over 60 days ago; what the gateway saw then is kept no more")

    def _check_crew(self, signed: SignedVisit) -> None:
        """Keep strangers out of the mail. No fact rests on this: the contract asks the Registry whose key it is."""
        people = [*signed.visit.mechanics] + ([signed.visit.manager] if signed.visit.manager != NOBODY else [])
        for alias, signature in zip(people, signed.signatures, strict=True):
            member = self._directory.read().crew_of(alias)
            if member is None or member.public != signature.public:
                raise VisitRefused(
                    403, "unknown_crew", f"crew member {alias.hex()[:16]}… has another key here, or none"
                )
