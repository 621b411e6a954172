"""The files that make a machine a gateway are what systemd, udev and sysctl accept, and lock the gateway in."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.processes import REPOSITORY

GATEWAY = REPOSITORY / "firmware" / "gateway"
SERVICE = "etc/systemd/system/minglou-edge.service"
# systemd's measure of what a service could still reach, in tenths: 0 is nothing, 100 is everything.
EXPOSURE_MAX = 20


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which install.sh has laid its files, as an image would be made."""
    root = tmp_path_factory.mktemp("root")
    subprocess.run([str(GATEWAY / "install.sh"), "--root", str(root)], check=True, timeout=280, capture_output=True)
    program = root / "opt" / "minglou" / "bin" / "minglou"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return root


@pytest.fixture(scope="module")
def service(laid: Path) -> configparser.SectionProxy:
    """The [Service] section."""
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # systemd's keys have capitals
    parser.read_string((laid / SERVICE).read_text(encoding="utf-8"))
    return parser["Service"]


def test_everything_is_laid_where_the_system_reads_it(laid: Path) -> None:
    held = {path.relative_to(laid).as_posix() for path in laid.rglob("*") if path.is_file()}
    assert held - {"opt/minglou/bin/minglou"} == {
        SERVICE,
        "etc/udev/rules.d/99-minglou-serial.rules",
        "etc/sysctl.d/90-minglou.conf",
        "etc/sysusers.d/minglou.conf",
        "etc/systemd/system.conf.d/50-minglou-watchdog.conf",
    }


def test_systemd_accepts_the_service_and_finds_it_locked_in(laid: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        return  # the keys themselves are checked below on every machine
    unit = laid / "minglou-edge.service"
    unit.write_text((laid / SERVICE).read_text(encoding="utf-8").replace("/opt/", f"{laid}/opt/"), encoding="utf-8")
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=30
    )
    ours = [line for line in told.stderr.splitlines() if "minglou" in line]
    assert ours == []
    security = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", str(unit)]
    judged = subprocess.run(security, capture_output=True, text=True, timeout=280)
    assert judged.returncode == 0, judged.stdout[-300:]


def test_a_gateway_that_stops_saying_it_is_well_is_restarted_for_ever(service: configparser.SectionProxy) -> None:
    assert service["Type"] == "notify"
    assert service["WatchdogSec"] == "60s"
    assert service["Restart"] == "always"
    assert "StartLimitIntervalSec=0" in (GATEWAY / "minglou-edge.service").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("User", "minglou"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("StateDirectoryMode", "0700"),
        ("UMask", "0077"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("DevicePolicy", "closed"),
        ("MemoryDenyWriteExecute", "yes"),
        ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"),
    ],
)
def test_the_gateway_is_locked_in(service: configparser.SectionProxy, key: str, value: str) -> None:
    assert service[key] == value


def test_udev_rules_are_well_formed_and_every_jump_lands(laid: Path) -> None:
    text = (laid / "etc/udev/rules.d/99-minglou-serial.rules").read_text(encoding="utf-8")
    rules = [line for line in text.splitlines() if line and not line.startswith("#")]
    token = r'[A-Z_]+(\{[A-Za-z_/]+\})?(==|!=|\+=|=)"[^"]*"'
    assert [rule for rule in rules if not re.fullmatch(rf"{token}(, {token})*", rule)] == []
    assert set(re.findall(r'GOTO="(\w+)"', text)) == set(re.findall(r'LABEL="(\w+)"', text))


def test_sysctl_settings_exist_in_this_kernel_or_are_known(laid: Path) -> None:
    lines = (laid / "etc/sysctl.d/90-minglou.conf").read_text(encoding="utf-8").splitlines()
    settings = [line.partition(" = ") for line in lines if line and not line.startswith("#")]
    assert all(value.isdigit() for _, _, value in settings)
    known = {"kernel.hung_task_timeout_secs", "kernel.panic_on_oops"}  # absent in some containers
    absent = [name for name, _, _ in settings if not (Path("/proc/sys") / name.replace(".", "/")).exists()]
    assert {name for name in absent if not name.startswith("net.ipv")} <= known
