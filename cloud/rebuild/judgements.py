"""What was once looked up or computed from entries: visits' places, and lines that the readings do not give."""

from types import SimpleNamespace

from sqlalchemy import select, update

from cloud.billing.posted import compare_bills
from cloud.chain.deployment import Deployment
from cloud.chain.view import ChainView
from cloud.directory import Directory
from cloud.store import Store, tables
from cloud.visits.letters import find_judgement

__all__ = ["rebuild_mismatches", "rebuild_places"]


async def rebuild_places(fresh: Store) -> int:
    """Look every judged visit's entry up again; how many."""
    column = tables.visits.c
    async with fresh.write() as connection:
        visits = (await connection.execute(select(tables.visits).where(column.entry_index.is_not(None)))).all()
        for row in visits:
            unjudged = SimpleNamespace(**{**row._mapping, "entry_index": None, "entry_log_id": None})
            found = await find_judgement(connection, unjudged)
            place = (None, None) if found is None else (found.log_id, found.entry_index)
            change = update(tables.visits).where(column.digest == row.digest)
            await connection.execute(change.values(entry_log_id=place[0], entry_index=place[1]))
    return len(visits)


async def rebuild_mismatches(fresh: Store, view: ChainView, directory: Directory, deployment: Deployment) -> int:
    """Compare every posted period with the readings again; how many periods."""
    async with fresh.read() as connection:
        column = tables.posted_periods.c
        query = select(column.period).where(column.held == column.unit_count)
        periods = list((await connection.execute(query)).scalars())
    for period in sorted(periods):
        await compare_bills(fresh, view=view, directory=directory, deployment=deployment, period=period)
    return len(periods)
