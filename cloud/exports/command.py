"""`minglou cloud export`: a table into a file, straight from the database, beside a serving cloud or without one."""

import os
from pathlib import Path

from cloud.chain.deployment import Deployment, read_deployment
from cloud.chain.stored import stored_view
from cloud.chain.view import ChainView
from cloud.directory import DirectoryFile
from cloud.errors import SettingsError
from cloud.exports.export import export
from cloud.exports.formats import FORMATS
from cloud.exports.portion import Asked, Source
from cloud.exports.records import RECORDS
from cloud.exports.scope import EVERYTHING
from cloud.identity.audit import EVERY_UNIT, LOCK, Act, write_entry
from cloud.sealed_store import open_store
from cloud.settings import CloudSettings
from cloud.store import Store

__all__ = ["run_export"]


async def run_export(settings: CloudSettings, what: str, out: Path, asked: Asked) -> int:
    """Write the file in one step, once the audit log has told of it; its length in bytes.

    Raises:
        SettingsError: the file's ending names no format, or a file of the settings is wrong.
    """
    form = out.suffix.removeprefix(".")
    if form not in FORMATS:
        raise SettingsError(f"{out}: write to a file that ends in {', '.join(f'.{one}' for one in FORMATS)}")
    part = out.with_name(out.name + ".part")
    store = open_store(settings)
    size = 0
    try:
        async with store.write(LOCK) as connection:
            told = f"{what}.{form} by the command line"
            await write_entry(connection, Act.EXPORTED, at_ms=settings.clock.now_ms(), unit=EVERY_UNIT, what=told)
        source = _source(settings, store)
        # Readings are households': nobody else on the machine may read the file.
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            async for piece in export(RECORDS[what], form, source=source, scope=EVERYTHING, asked=asked):
                file.write(piece)
                size += len(piece)
            file.flush()
            os.fsync(file.fileno())
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
        await store.close()
    return size


def _source(settings: CloudSettings, store: Store) -> Source:
    deployment: Deployment | None = read_deployment(settings.chain.deployment_file) if settings.chain else None
    held: list[ChainView] = []

    async def view() -> ChainView:
        if not held:
            held.append(await stored_view(store, deployment.chain_id if deployment else 0))
        return held[0]

    return Source(
        store=store,
        directory=DirectoryFile(settings.directory_file).read(),
        view=view,
        deployment=deployment,
    )
