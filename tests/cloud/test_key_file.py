"""Key files come to be whole and durable, or not at all."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloud.errors import SettingsError
from cloud.key_file import open_key_file
from contracts import ed25519


def test_a_key_is_on_the_disk_before_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced, real = set[str](), os.fsync

    def sync(descriptor: int) -> None:
        synced.add(str(Path(f"/proc/self/fd/{descriptor}").readlink().name))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    path = tmp_path / "keys" / "super.pem"
    key = open_key_file(path, "super-log key")
    assert len(synced) == 2 and "keys" in synced, "the file and its folder"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["super.pem"]
    assert ed25519.public_bytes(open_key_file(path, "super-log key")) == ed25519.public_bytes(key)


def test_a_full_disk_leaves_no_half_key_and_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "witness.pem"

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched, pytest.raises(SettingsError, match=r"witness key .* No space left.*room"):
        patched.setattr(os, "fsync", full)
        open_key_file(path, "witness key")
    assert not list(tmp_path.iterdir())
    open_key_file(path, "witness key")


def test_who_makes_it_at_the_same_time_gets_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "audit.pem"
    with ThreadPoolExecutor(8) as threads:
        keys = list(threads.map(lambda _at: ed25519.public_bytes(open_key_file(path, "key")), range(16)))
    assert len(set(keys)) == 1


def test_a_key_that_others_can_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "super.pem"
    open_key_file(path, "super-log key")
    path.chmod(0o644)
    with pytest.raises(SettingsError, match="can be read by others; run: chmod 600"):
        open_key_file(path, "super-log key")
    path.chmod(0o600)
    path.write_text("")
    with pytest.raises(SettingsError, match=f"super-log key {path}"):
        open_key_file(path, "super-log key")
