"""What is wrong with the settings of a replicated ingest log, or with the cluster that they name, is said at once."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloud.errors import IngestLogError, SettingsError
from cloud.ingest_log.log import IngestLog
from cloud.ingest_log.settings import IngestLogSettings, ingest_log_from_settings
from cloud.settings import load_settings
from tests.nats_cluster import PASSWORD, USER, NatsCluster, nats_cluster
from tests.processes import free_port, wait_until

FILE = Path("/etc/minglou/cloud.toml")
SERVERS = ["nats://10.0.0.1:4222", "nats://10.0.0.2:4222", "nats://10.0.0.3:4222"]


def test_without_the_table_the_store_is_the_log() -> None:
    assert ingest_log_from_settings(FILE, {}) is None


def test_three_servers_are_all_that_must_be_named() -> None:
    settings = ingest_log_from_settings(FILE, {"ingest_log": {"servers": SERVERS}})
    assert settings is not None
    assert (settings.servers, settings.replicas, settings.keep_seconds) == (tuple(SERVERS), 3, 86_400)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"servers": []}, "servers must list URLs"),
        ({"servers": ["10.0.0.1:4222"]}, "servers must list URLs"),
        ({"servers": ["nats://minglou:secret@10.0.0.1:4222"]}, "must not hold a password"),
        ({"servers": SERVERS, "replicas": 2}, "replicas is 2"),
        ({"servers": SERVERS, "user": "minglou"}, "user and password_file belong together"),
        ({"servers": SERVERS, "key_file": "k.pem"}, "certificate_file and key_file belong together"),
        ({"servers": SERVERS, "subject": "minglou.>"}, "subject one such as minglou.entries"),
        ({"servers": SERVERS, "stream": "a b"}, "stream is a word"),
        ({"servers": SERVERS, "gib": 0.01}, "gib must be at least"),
        ({"servers": SERVERS, "answer_seconds": 0.1}, "answer_seconds must be at least 1"),
        ({"servers": SERVERS, "replica": 3}, "unknown keys replica"),
    ],
)
def test_a_wrong_value_is_named_with_its_remedy(values: dict[str, object], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        ingest_log_from_settings(FILE, {"ingest_log": values})


def test_replicas_need_one_store_that_all_of_them_reach(tmp_path: Path) -> None:
    file = tmp_path / "cloud.toml"
    file.write_text(
        '[cloud]\nlisten = "127.0.0.1:1"\ndata_dir = "data"\n[super_log]\norigin = "a.example/log"\n'
        '[ingest_log]\nservers = ["nats://127.0.0.1:4222"]\n'
    )
    with pytest.raises(SettingsError, match="needs PostgreSQL"):
        load_settings(file)


def test_replicas_need_one_key_store_and_one_audit_key(tmp_path: Path) -> None:
    file = tmp_path / "cloud.toml"
    start = (
        '[cloud]\nlisten = "127.0.0.1:1"\ndata_dir = "data"\n[super_log]\norigin = "a.example/log"\n'
        '[store]\nurl = "postgresql+asyncpg://a@/a"\n[ingest_log]\nservers = ["nats://127.0.0.1:4222"]\n'
    )
    for identity, says in (("", "keys_dir, audit_key_file"), ('keys_dir = "/keys"\n', r"\[identity\]: audit_key_file")):
        file.write_text(f"{start}[identity]\n{identity}")
        with pytest.raises(SettingsError, match=says):
            load_settings(file)
    file.write_text(f'{start}[identity]\nkeys_dir = "/keys"\naudit_key_file = "/keys/audit.pem"\n')
    settings = load_settings(file)
    assert (settings.keys_dir, settings.audit_key_file) == (Path("/keys"), Path("/keys/audit.pem"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    with nats_cluster(tmp_path_factory.mktemp("nats"), count=1) as started:
        yield started


def refusal(settings: IngestLogSettings, password: str = PASSWORD) -> str:
    """What a replica says of the cluster at its start; empty where nothing is wrong."""

    async def ask() -> str:
        log = IngestLog(settings, password=password)
        try:
            await log.open()
        except IngestLogError as error:
            return str(error)
        finally:
            await log.close()
        return ""

    return asyncio.run(ask())


def test_streams_are_made_once_and_those_that_stand_otherwise_are_refused_by_name(server: NatsCluster) -> None:
    settings = IngestLogSettings(servers=tuple(server.urls), user=USER, replicas=1, bytes_max=64 * 1024**2)
    assert refusal(settings) == ""
    assert refusal(settings) == "", "whoever starts second finds it made"
    assert "num_replicas is 1, not 3" in refusal(replace(settings, replicas=3))
    assert "start 3 servers" in refusal(replace(settings, replicas=3, stream="three", subject="three"))


def test_a_server_that_is_not_there_or_lets_nobody_in_is_named(server: NatsCluster) -> None:
    settings = IngestLogSettings(servers=tuple(server.urls), user=USER, replicas=1)
    assert "no NATS server" in refusal(replace(settings, servers=(f"nats://127.0.0.1:{free_port()}",)))
    # The server says why and hangs up at once, and what it said may be lost with the connection; nobody is let in.
    told = "a wrong password is named"
    wait_until(lambda: "Authorization Violation" in refusal(settings, password="wrong"), seconds=20, what=told)


def test_a_server_that_takes_only_small_messages_is_refused(tmp_path: Path) -> None:
    with nats_cluster(tmp_path, count=1, max_payload="1MB") as server:
        settings = IngestLogSettings(servers=tuple(server.urls), user=USER, replicas=1)
        assert "max_payload: 8MB" in refusal(settings)
