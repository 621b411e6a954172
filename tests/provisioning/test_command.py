"""`minglou provision`: check names mistakes, plan tells, apply does it once."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from contracts.p256 import generate_key, public_bytes, spki
from minglou import main
from tests.provisioning.conftest import DEMO


def test_a_site_file_without_mistakes_says_what_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["provision", "site", "check", str(DEMO)]) == 0
    assert "no mistakes; 1 buildings, 24 units, 33 devices" in capsys.readouterr().out


def test_mistakes_go_to_stderr_with_their_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "site.toml"
    path.write_text(DEMO.read_text().replace("floors = 12", 'floors = "12"'))
    assert main(["provision", "site", "check", str(path)]) == 1
    line = DEMO.read_text().splitlines().index("floors = 12") + 1
    assert f"line {line}: [[building]] b07: floors is text, not a whole number" in capsys.readouterr().err


def test_plan_tells_and_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["provision", "site", "plan", str(DEMO), "--dir", str(tmp_path / "site")]) == 0
    said = capsys.readouterr().out
    assert "keys/manager.key: a new key for the manager" in said
    assert "cloud/cloud.toml: written" in said
    assert not (tmp_path / "site").exists()


def test_apply_does_it_once_and_keeps_secrets_to_their_owner(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = tmp_path / "site"
    assert main(["provision", "site", "apply", str(DEMO), "--dir", str(site)]) == 0
    before = {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}
    assert all(path.stat().st_mode & 0o077 == 0 for path in (site / "keys").rglob("*"))
    assert (site / "names.json").stat().st_mode & 0o777 == 0o600
    capsys.readouterr()
    assert main(["provision", "site", "apply", str(DEMO), "--dir", str(site)]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in site.rglob("*") if path.is_file()} == before


def test_a_changed_site_file_changes_only_what_follows_from_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site, changed = tmp_path / "site", tmp_path / "site.toml"
    main(["provision", "site", "apply", str(DEMO), "--dir", str(site)])
    changed.write_text(DEMO.read_text().replace("baud = 2400", "baud = 9600"))
    capsys.readouterr()
    assert main(["provision", "site", "plan", str(changed), "--dir", str(site)]) == 0
    steps = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("+", "~"))]
    assert [Path(step.split(": ")[0][2:]).name for step in steps] == ["site.toml", "b07.toml"]


def test_a_gateways_claim_is_checked_against_the_site_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    public = public_bytes(generate_key())
    identity = tmp_path / "identity.json"
    identity.write_text(
        json.dumps(
            {
                "origin": "demo.minglou.example/cuiyuan/b07/e0",
                "public": public.hex(),
                "class": "file",
                "claim_code": "right",
                "spki": spki(public).hex(),
                "fingerprint": sha256(spki(public)).hexdigest(),
            }
        )
    )
    assert main(["provision", "gateway", str(DEMO), str(identity), "--claim-code", "right"]) == 0
    assert "the claim fits" in capsys.readouterr().out
    assert main(["provision", "gateway", str(DEMO), str(identity), "--claim-code", "wrong"]) == 1
    assert "read both from the same gateway" in capsys.readouterr().err
