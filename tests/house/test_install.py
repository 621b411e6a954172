"""The installer: quick when nothing changed, thorough when something did, and clear about what it cannot do."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.processes import REPOSITORY

SCRIPT = REPOSITORY / "requirements" / "install.py"


@pytest.fixture
def install(tmp_path: Path) -> ModuleType:
    """The installer as a module that works in a folder of its own."""
    spec = importlib.util.spec_from_file_location("install", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["install"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    shutil.copytree(REPOSITORY / "requirements", tmp_path / "requirements")
    places = {
        "REPOSITORY": ".",
        "LOCKS": "requirements",
        "TOOLS": ".tools",
        "VENV": ".venv",
        "LOG": ".tools/install.log",
    }
    for name, place in places.items():
        setattr(module, name, tmp_path / place)
    return module


def test_with_nothing_to_do_the_installer_does_nothing() -> None:
    words = [sys.executable, str(SCRIPT)]
    subprocess.run(words, check=True, timeout=280, capture_output=True)
    told = subprocess.run(words, check=True, timeout=280, capture_output=True, text=True)
    assert " ... " not in told.stdout


def test_a_step_is_done_again_only_when_what_decides_it_changes(install: ModuleType, tmp_path: Path) -> None:
    lock, proof = tmp_path / "some.lock", tmp_path / "program"
    lock.write_text("one==1\n")
    step = install.Step("some step", (lock,), proof, lambda: None)
    assert not step.is_done()
    proof.touch()
    step.remember()
    assert step.is_done()
    lock.write_text("one==2\n")
    assert not step.is_done()
    step.remember()
    proof.unlink()
    assert not step.is_done()


def test_an_old_python_is_refused_with_what_to_do(install: ModuleType) -> None:
    with pytest.raises(
        install.InstallError, match=r"needs Python 3\.11 or later and this is 3\.9; use `make PYTHON=|use Python"
    ):
        install.check_python((3, 9))
    install.check_python((3, 11))


def test_what_cannot_be_installed_is_named_with_what_is_left_out(
    install: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = install.SystemPackage("mosquitto", ("no-such-broker",), (), "tests against mosquitto")
    monkeypatch.setattr(install, "SYSTEM_PACKAGES", (package,))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert install.install_system_packages() == [
        "  mosquitto is not installed, so this is left out: tests against mosquitto. "
        "To have it: sudo apt-get install mosquitto"
    ]


def test_a_command_that_fails_shows_its_last_words_and_the_remedy(install: ModuleType) -> None:
    words = [sys.executable, "-c", "print('no route'); raise SystemExit(7)"]
    with pytest.raises(install.InstallError, match=r"ended with 7:\nno route\nCheck the network") as failed:
        install.run(*words, directory=install.TOOLS.parent, remedy="Check the network.")
    assert "install.log" in str(failed.value)


def test_uv_is_told_the_index_that_pip_is_set_to(install: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    python = install.VENV / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho \"global.index-url='https://mirror.example/simple'\"\n")
    python.chmod(0o755)
    assert install.uv_settings()["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"


@pytest.mark.parametrize(
    ("system", "machine", "package"), [("Linux", "x86_64", "linux-amd64"), ("Darwin", "arm64", "darwin-arm64")]
)
def test_the_chain_is_the_package_of_this_machine(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch, system: str, machine: str, package: str
) -> None:
    monkeypatch.setattr(install.platform, "system", lambda: system)
    monkeypatch.setattr(install.platform, "machine", lambda: machine)
    assert install.chain_package() == (f"@foundry-rs/anvil-{package}", "1.7.1")
