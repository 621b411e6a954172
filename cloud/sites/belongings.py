"""What one site has to itself, told apart by what it is and not by how its settings spell it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloud.errors import SettingsError
from cloud.settings import CloudSettings

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

__all__ = ["Thing", "belongings"]

Thing = tuple[Any, ...]
"""One thing that two sites cannot both have; equal however it is spelt."""

_POSTGRES_PORT = 5432
_THIS_MACHINE = "localhost"


def belongings(path: Path, settings: CloudSettings) -> Mapping[Thing, str]:
    """Each thing of a site with the name of its setting.

    Raises:
        SettingsError: `[store] url` is the address of no database.
    """
    files = {("file", file): what for file, what in _files(settings)}
    return {**dict(_names(settings)), **files, **dict.fromkeys(_database(path, settings.store_url), "[store] url")}


def _names(settings: CloudSettings) -> Iterator[tuple[Thing, str]]:
    yield ("origin", settings.super_origin), "[super_log] origin"
    if settings.ingest_log is not None:
        yield ("stream", settings.ingest_log.stream), "[ingest_log] stream"
    for host in settings.hosts:
        yield ("host", host), f"the host {host} in [cloud] hosts"


def _files(settings: CloudSettings) -> Iterable[tuple[Path, str]]:
    files: tuple[tuple[Path | None, str], ...] = (
        (settings.data_dir, "[cloud] data_dir"),
        (settings.directory_file, "[cloud] directory_file"),
        (settings.trust_file, "[cloud] trust_file"),
        (settings.super_key_file, "[super_log] key_file"),
        (settings.relayer_key_file, "[chain] relayer_key_file"),
        (settings.chain.deployment_file if settings.chain else None, "[chain] deployment_file"),
        (settings.keys_dir, "[identity] keys_dir"),
        (settings.master_key_file, "[identity] master_key_file"),
        (settings.audit_key_file, "[identity] audit_key_file"),
        (settings.claims_file, "[ingest] claims_file"),
        (settings.segments.folder, "[segments] folder"),
    )
    return ((path.resolve(), what) for path, what in files if path is not None)


def _database(path: Path, url: str) -> Sequence[Thing]:
    """A database, once for each server that its address names."""
    from sqlalchemy.engine import make_url  # costs time, and only who serves asks
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return (("file", Path(str(parsed.database).removeprefix("file:")).resolve()),)
        name = parsed.database or parsed.username  # as PostgreSQL has it
        return [("database", host, port, name) for host, port in _servers(parsed)]
    except (ArgumentError, ValueError) as error:  # not shown: it may hold a password
        says = "is the address of no database; write postgresql+asyncpg://USER:PASSWORD@HOST/DATABASE"
        raise SettingsError(f"{path}: [store] url {says}") from error


def _servers(url: "URL") -> Iterator[tuple[str, int]]:
    """Hosts and ports: HOST:PORT, or `host=A:1&host=B:2`, or `host=A,B&port=1,2` for servers that stand in."""
    hosts = [url.host] if url.host else ",".join(url.normalized_query.get("host", ())).split(",")
    ports = [str(url.port)] if url.port else ",".join(url.normalized_query.get("port", ())).split(",")
    for at, host in enumerate(hosts):
        name, _, port = (host or "").partition(":") if (host or "").count(":") == 1 else (host or "", "", "")
        yield _host(name), int(port or ports[min(at, len(ports) - 1)] or _POSTGRES_PORT)


def _host(name: str) -> str:
    """One word for this machine, whether by socket, address or name; all others as names are compared."""
    if not name or name.startswith("/"):
        return _THIS_MACHINE
    try:
        address = ip_address(name.strip("[]"))
    except ValueError:
        return name.lower().removesuffix(".")
    return _THIS_MACHINE if address.is_loopback else str(address)
