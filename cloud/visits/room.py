"""Where visits are taken: checked as far as a postman can, stored once, found again by their digest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import delete, func, select, update

from cloud.directory import DirectoryFile
from cloud.errors import CloudError
from cloud.integrity.flags import FlagView, flags_of
from cloud.mail import Bell
from cloud.store import Store, insert_new, tables
from cloud.store.upsert import insert_new_rows
from cloud.visits.bundles import photos_named, signer_rows, texts_of
from cloud.visits.letters import KEPT_S, find_judgement, gateway_of, mail_again
from cloud.visits.packs import pack_of
from contracts.bundle import FORMAT, Bundle, parse_bundle
from contracts.checklist import ChecklistError
from contracts.clock import Clock
from contracts.errors import ContractsError
from contracts.pack import PackError
from contracts.signed_visit import SignedVisit, verify_signed_visit
from contracts.visit import NOBODY, VisitError

__all__ = ["StoredVisit", "VisitRefused", "VisitRoom", "not_on_chain"]

UNJUDGED_MAX = 200  # of one gateway
UNJUDGED_BY_SIGNER_MAX = 50  # of one crew member, so that none fills a gateway's mail alone
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
    files_missing: tuple[str, ...]  # hashes of photographs that its list names and nobody sent yet
    chain: str  # waiting, recorded or paid
    flags: Sequence[FlagView] = ()  # what is asked about it

    def to_json(self) -> dict[str, Any]:
        """The answer to whoever relayed it."""
        entry = None if self.index is None else {"origin": self.origin, "index": str(self.index)}
        return {
            "digest": self.digest.hex(),
            "state": "waiting" if entry is None else "judged",
            "level": self.level,
            "entry": entry,
            "chain": self.chain,
            "files_missing": list(self.files_missing),
            "flags": [_flag_to_json(flag) for flag in self.flags],
        }


def _flag_to_json(flag: FlagView) -> dict[str, Any]:
    says = {"zh": flag.reason.zh, "en": flag.reason.en}
    return {"name": flag.name, "kind": flag.kind, "grave": flag.grave, "state": flag.state.value, "says": says}


def not_on_chain(_digest: bytes) -> str:
    """The word of a cloud without a chain."""
    return "waiting"


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
        by_signer_max: int = UNJUDGED_BY_SIGNER_MAX,
        chain_word: Callable[[bytes], str] = not_on_chain,
    ) -> None:
        """`chain_word` tells of a visit's digest how far the chain has it: waiting, recorded or paid."""
        self._store = store
        self._directory = directory
        self._bell = bell
        self._clock = clock
        self._chain_id = chain_id
        self._contract = contract
        self._unjudged_max, self._by_signer_max = unjudged_max, by_signer_max
        self._chain_word = chain_word

    @property
    def chain_id(self) -> int:
        """The chain that visits must be signed for."""
        return self._chain_id

    @property
    def contract(self) -> str | None:
        """The maintenance contract that visits must be signed for; None takes none."""
        return self._contract

    async def take(self, encoded: bytes) -> StoredVisit:
        """Keep one visit for its gateway; the same visit again changes nothing, but that a bundle adds list and proof
        to a visit that came without them.

        Args:
            encoded: a `minglou-visit-bundle/1`, or a bare `minglou-signed-visit/1`.

        Raises:
            VisitRefused: what no gateway would judge, or whose crew is not known here.
        """
        bundle = self._checked(encoded)
        signed, digest = bundle.signed, bundle.signed.visit.digest()
        device = self._directory.read().device_of(signed.visit.device)
        assert device is not None, "checked"
        gateway, column = gateway_of(device.origin), tables.visits.c
        async with self._store.write() as connection:
            known = (await connection.execute(select(tables.visits).where(column.digest == digest))).one_or_none()
            if known is None:
                await self._check_room(connection, gateway, signed)
                await insert_new(connection, tables.visits, self._row(bundle, gateway))
                await insert_new_rows(connection, tables.visit_signers, signer_rows(bundle))
            else:
                await _complete(connection, known, bundle)
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
            missing = await _files_missing(connection, row)
            flags = (await flags_of(connection, [digest])).get(digest, ())
        return StoredVisit(
            digest=digest,
            level=entry.value if entry else None,
            origin=entry.origin if entry else None,
            index=entry.entry_index if entry else None,
            files_missing=missing,
            chain=self._chain_word(digest),
            flags=flags,
        )

    async def _check_room(self, connection: Any, gateway: str, signed: SignedVisit) -> None:
        column, signer = tables.visits.c, tables.visit_signers.c
        # What is too old for any gateway to judge waits no more.
        young = column.started_at_s > self._clock.now_ms() // 1000 - KEPT_S
        unjudged = select(func.count()).where(column.gateway == gateway, column.entry_index.is_(None), young)
        if (await connection.execute(unjudged)).scalar_one() >= self._unjudged_max:
            says = f"{self._unjudged_max} visits wait for {gateway} already; send it again when they are judged"
            raise VisitRefused(429, "too_many", says)
        first = sha256(signed.signatures[0].public).digest()
        own = unjudged.join(tables.visit_signers, signer.digest == column.digest).where(
            signer.signer == first, signer.position == 0
        )
        if (await connection.execute(own)).scalar_one() >= self._by_signer_max:
            says = f"{self._by_signer_max} visits of this crew member wait already; send it again when they are judged"
            raise VisitRefused(429, "too_many", says)

    def _row(self, bundle: Bundle, gateway: str) -> dict[str, Any]:
        visit = bundle.signed.visit
        return {
            "digest": visit.digest(),
            "device": visit.device,
            "gateway": gateway,
            **texts_of(bundle),
            "visit_class": int(visit.visit_class),
            "started_at_s": visit.started_at_s,
            "ended_at_s": visit.ended_at_s,
            "received_at_ms": self._clock.now_ms(),
        }

    def _checked(self, encoded: bytes) -> Bundle:
        if self._contract is None:
            raise VisitRefused(503, "no_maintenance", "this cloud relays no visits; name [maintenance] contract")
        try:
            bundle = parse_bundle(encoded)
        except ContractsError as error:
            raise VisitRefused(400, "malformed", f"{error}; send one {FORMAT}") from error
        signed = bundle.signed
        if (signed.chain_id, signed.contract) != (self._chain_id, self._contract):
            says = f"it is signed for {signed.contract} on chain {signed.chain_id}; this site's is {self._contract}"
            raise VisitRefused(422, "wrong_contract", f"{says} on {self._chain_id}")
        if self._directory.read().device_of(signed.visit.device) is None:
            raise VisitRefused(404, "unknown_device", "no gateway here looks after this device; is it another site's?")
        self._check_times(signed)
        _check_list(bundle)
        try:
            verify_signed_visit(signed)
        except VisitError as error:
            raise VisitRefused(422, "bad_signature", str(error)) from error
        self._check_crew(signed)
        return bundle

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


def _check_list(bundle: Bundle) -> None:
    """Refuse a list that its pack does not allow. A pack that is not known here is no matter of ours."""
    pack = pack_of(bundle.visit.plan)
    if bundle.checklist is None or pack is None:
        return
    try:
        bundle.checklist.check(pack)
    except (ChecklistError, PackError) as error:
        raise VisitRefused(422, "bad_list", str(error)) from error


async def _complete(connection: Any, known: Any, bundle: Bundle) -> None:
    """Add what a visit came without: its record names the digests of both, so that they can only be the true ones.

    Otherwise whoever hands in the bare visit first would have it judged without its crew's proof.
    """
    if bundle.checklist is None or known.checklist is not None:
        return
    change = update(tables.visits).where(tables.visits.c.digest == known.digest)
    await connection.execute(change.values(**texts_of(bundle), examined=0, look_at_ms=0))
    await mail_again(connection, known.digest)
    signer = tables.visit_signers.c
    await connection.execute(delete(tables.visit_signers).where(signer.digest == known.digest))
    await insert_new_rows(connection, tables.visit_signers, signer_rows(bundle))


async def _files_missing(connection: Any, row: Any) -> tuple[str, ...]:
    named = [one["sha256"] for one in photos_named(row)]
    if not named:
        return ()
    column = tables.visit_files.c
    held = await connection.execute(select(column.sha256).where(column.digest == row.digest))
    here = {name.hex() for name in held.scalars()}
    return tuple(name for name in named if name not in here)
