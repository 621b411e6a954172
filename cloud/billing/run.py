"""A bill run: from entries to posted bills, in steps that can be cut off anywhere and gone on with.

The folder holds all that a run has done. Its seed, made once, gives every unit's salt, and each portion of bills is on
disk whole or not at all: whoever goes on makes the same bytes, so the same root. Once the period is posted the seed is
overwritten with nothing and the portions are deleted: they hold households' usage and salts in plain.
"""

import asyncio
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.beside import processes_beside
from cloud.billing.bill_block import (
    BILLS_AT_ONCE,
    BLOCK_LEVEL,
    SALT_BYTES,
    BillBlock,
    BillPlace,
    decode_block,
    encode_block,
    leaves_of,
)
from cloud.billing.period_columns import PeriodColumns, reckon_period
from cloud.billing.volumes import decode_volumes, encode_volumes
from cloud.chain.view import ChainView
from cloud.directory import Directory
from cloud.errors import BillingError
from cloud.telemetry import span
from contracts.bill import BillError, BillTree, Node
from contracts.key_table import KeyTable

__all__ = ["BillRun", "Prepared"]

FORMAT = "minglou-bill-run/1"
_STATE = "run.json"
_MANY_PORTIONS = 16  # from which on several processes are quicker than one

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What a run was begun with; `ground` names what its lines were computed from."""

    chain_id: int
    contract: str
    site: str
    period: int
    unit_count: int
    seed: str
    ground: str = ""
    problems: tuple[str, ...] = ()
    format: str = FORMAT


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """All bills of a period, ready to be posted."""

    contents: Sequence[bytes]
    tree: BillTree  # from blocks of `BILLS_AT_ONCE` up
    problems: Sequence[str]
    volumes: Sequence[KeyTable] = ()  # of pools that are shared by volume


class BillRun:
    """One run in its folder, readable by its owner alone: it holds households' usage and the salts that hide it."""

    def __init__(self, folder: Path, state: _State) -> None:
        self.folder, self._state = folder, state
        self._written: dict[int, Sequence[bytes]] = {}  # portions of this process: no need to read them back

    @classmethod
    def open(cls, folder: Path, place: BillPlace, unit_count: int) -> "BillRun":
        """The run in a folder, begun here if there is none.

        Raises:
            BillingError: the folder holds the run of another period or roll.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = folder / _STATE
        wanted = _State(
            chain_id=place.chain_id,
            contract=place.contract,
            site=place.site.hex(),
            period=place.period,
            unit_count=unit_count,
            seed=secrets.token_hex(32),
        )
        if not file.exists():
            _write(file, _state_bytes(wanted))
            return cls(folder, wanted)
        try:
            fields = json.loads(file.read_bytes())
            held = _State(**{**fields, "problems": tuple(fields["problems"])})
        except (ValueError, TypeError, KeyError) as error:
            raise BillingError(f"{file} is damaged ({error}); begin the run in another folder") from error
        same = replace(wanted, seed=held.seed, ground=held.ground, problems=held.problems)
        if held != same:
            raise BillingError(
                f"{folder} holds the run of period {held.period} with {held.unit_count} units, not of {place.period} "
                f"with {unit_count}; take another folder"
            )
        return cls(folder, held)

    @property
    def place(self) -> BillPlace:
        """Whose bills they are."""
        state = self._state
        return BillPlace(
            chain_id=state.chain_id, contract=state.contract, site=bytes.fromhex(state.site), period=state.period
        )

    async def prepare(
        self, connection: AsyncConnection, *, view: ChainView, directory: Directory, say: Say = lambda words: None
    ) -> Prepared:
        """Compute what is not on disk yet, and the tree over all bills.

        Raises:
            BillingError: bills on disk are damaged, or the period was posted and they are gone.
        """
        if not self._state.seed:
            self.finish()  # a run that was cut off while it forgot
            raise BillingError(f"{self.folder} was posted and its bills are gone; the cloud and the owners hold them")
        many = len(self._firsts()) >= _MANY_PORTIONS
        async with processes_beside() if many else nullcontext() as pool:
            roots = _Roots(self.place, pool)
            if not all(self._file(first).exists() for first in self._firsts()):
                with span("bills.compute", attributes={"minglou.units": self._state.unit_count}):
                    await self._compute(connection, view, directory, say, roots)
            say("joining all portions")
            portions = {first: self._portion(first) for first in self._firsts()}
            say("building the tree")
            tree = BillTree.of_blocks(await roots.of(portions), self._state.unit_count, BLOCK_LEVEL)
        volumes = [self._table(file) for file in self._tables()]
        contents = list(chain.from_iterable(portions.values()))
        return Prepared(contents=contents, tree=tree, problems=self._state.problems, volumes=volumes)

    async def _compute(
        self, connection: AsyncConnection, view: ChainView, directory: Directory, say: Say, roots: "_Roots"
    ) -> None:
        columns = await reckon_period(connection, view=view, directory=directory, period=self._state.period, say=say)
        ground = _digest(columns)
        if ground != self._state.ground:
            # Portions of two computations may not stand in one tree: a pool's shares would not add up.
            if self._state.ground:
                say("what the bills rest on has changed since; all are made again")
            self._written.clear()
            self._keep(replace(self._state, ground=""))  # whatever is on disk from here on belongs to nothing
            for file in (*map(self._file, self._firsts()), *self._tables()):
                file.unlink(missing_ok=True)
            for pool, keys in columns.volumes.items():
                self._write_table(pool, keys)
            self._keep(replace(self._state, ground=ground, problems=tuple(columns.problems)))
        for first in self._firsts():
            if not self._file(first).exists():
                roots.begin(first, self._write_portion(columns, first))
                say(f"{min(first + BILLS_AT_ONCE, self._state.unit_count):,} of {self._state.unit_count:,} bills")

    def _write_portion(self, columns: PeriodColumns, first: int) -> Sequence[bytes]:
        last = min(first + BILLS_AT_ONCE, self._state.unit_count)
        seed = bytes.fromhex(self._state.seed)
        salts = [hashlib.sha256(seed + unit.to_bytes(8)).digest()[:SALT_BYTES] for unit in range(first, last)]
        contents = columns.contents(salts, first)
        _write(self._file(first), encode_block(BillBlock(first=first, contents=contents, path=())))
        self._written[first] = contents
        return contents

    def _write_table(self, pool: bytes, keys: Sequence[int]) -> None:
        seed = bytes.fromhex(self._state.seed) + pool
        salts = [
            hashlib.sha256(seed + at.to_bytes(8)).digest()[:SALT_BYTES].ljust(32, b"\0") for at in range(len(keys))
        ]
        table = KeyTable(pool=pool, keys=keys, salts=salts)
        _write(self.folder / f"pool-{pool.hex()}.volumes", encode_volumes(table))

    def _tables(self) -> list[Path]:
        return sorted(self.folder.glob("pool-*.volumes"))

    def _table(self, file: Path) -> KeyTable:
        try:
            return decode_volumes(file.read_bytes())
        except (OSError, BillError) as error:
            raise BillingError(f"{file} is damaged ({error}); begin the run in another folder") from error

    def _portion(self, first: int) -> Sequence[bytes]:
        return self._written.pop(first) if first in self._written else self._read(first)

    def _read(self, first: int) -> Sequence[bytes]:
        file = self._file(first)
        try:
            return decode_block(file.read_bytes()).contents
        except (OSError, BillError) as error:
            raise BillingError(f"{file} is damaged ({error}); delete it and run the same command again") from error

    def finish(self) -> None:
        """Forget seed and bills: from now on only whoever holds a bill elsewhere can open its leaf."""
        self._keep(replace(self._state, seed=""))
        self._written.clear()
        for file in (*self.folder.glob("units-*.bills"), *self.folder.glob("*.part"), *self._tables()):
            file.unlink(missing_ok=True)

    def _keep(self, state: _State) -> None:
        _write(self.folder / _STATE, _state_bytes(state))
        self._state = state

    def _firsts(self) -> range:
        return range(0, self._state.unit_count, BILLS_AT_ONCE)

    def _file(self, first: int) -> Path:
        return self.folder / f"units-{first:09d}.bills"


class _Roots:
    """The roots of portions, made while others are still being written."""

    def __init__(self, place: BillPlace, pool: ProcessPoolExecutor | None) -> None:
        self._place, self._pool = place, pool
        self._begun: dict[int, Future[Node]] = {}

    def begin(self, first: int, contents: Sequence[bytes]) -> None:
        """Have a portion's root made beside this process, if there is any."""
        if self._pool is not None:
            self._begun[first] = self._pool.submit(_block_root, contents, self._place, first)

    async def of(self, portions: Mapping[int, Sequence[bytes]]) -> list[Node]:
        """The roots of all portions, in their order."""
        for first in portions.keys() - self._begun.keys():
            self.begin(first, portions[first])
        if self._pool is None:
            return [_block_root(some, self._place, first) for first, some in portions.items()]
        return await asyncio.gather(*(asyncio.wrap_future(self._begun[first]) for first in portions))


def _block_root(contents: Sequence[bytes], place: BillPlace, first: int) -> Node:
    return BillTree(leaves_of(contents, place, first=first)).root


def _digest(columns: PeriodColumns) -> str:
    """What all lines together say."""
    digest = hashlib.sha256()
    for column in columns.columns:
        head = (int(column.kind), column.quantity, column.tariff, column.since, column.span)
        digest.update(repr(head).encode() + hashlib.sha256(column.subjects).digest())
        for numbers in (column.rows, column.usage, column.amount):
            digest.update(numbers.tobytes())
    for pool, keys in sorted(columns.volumes.items()):
        digest.update(pool + repr(keys).encode())
    return digest.hexdigest()


def _state_bytes(state: _State) -> bytes:
    return json.dumps(asdict(state), indent=1, ensure_ascii=False).encode()


def _write(file: Path, octets: bytes) -> None:
    """Whole or not at all, whatever happens meanwhile."""
    beside = file.with_suffix(".part")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(octets)
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(file)
    descriptor = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
