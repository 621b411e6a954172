"""The demo's month, its clock, and the padding of one bill."""

from __future__ import annotations

import json
import socket
import zoneinfo
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from provisioning.demo.billing import pad_draft
from provisioning.demo.calendar import last_month, month_clock, period_number
from provisioning.demo.errors import DemoError
from provisioning.demo.state import DemoState, choose_ports, read_state, write_state
from provisioning.site import Site
from provisioning.tariffs import contract_tariff
from tests.processes import free_port

SHANGHAI = zoneinfo.ZoneInfo("Asia/Shanghai")


def at_ms(*parts: int) -> int:
    return round(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc, arg-type]


def test_the_period_is_the_thirty_local_days_before_today() -> None:
    month = last_month(at_ms(2026, 11, 22, 15, 30), SHANGHAI)  # 23:30 in Shanghai
    assert (month.opening, month.closing) == (date(2026, 10, 23), date(2026, 11, 22))
    assert month.closing_ms == at_ms(2026, 11, 21, 16)
    assert period_number(month) == 2026102320261122


def test_a_period_never_crosses_the_first_of_january() -> None:
    assert last_month(at_ms(2027, 1, 10, 4), SHANGHAI).opening == date(2027, 1, 1)
    assert last_month(at_ms(2027, 1, 1, 4), SHANGHAI).opening == date(2026, 12, 2)


def test_the_clock_runs_through_the_month_and_ends_now() -> None:
    now_ms = at_ms(2026, 11, 22, 15, 30)
    month = last_month(now_ms, SHANGHAI)
    clock = month_clock(month, real_start_ms=now_ms, real_seconds=60)
    assert clock.at_real_ms(now_ms) == month.opening_ms - 2 * 3_600_000
    assert clock.at_real_ms(now_ms + 60_000) == now_ms + 60_000
    assert clock.at_real_ms(now_ms + 90_000) == now_ms + 90_000


def test_padding_raises_usage_and_price_by_the_tariff_itself(site: Site) -> None:
    tariff = contract_tariff(site.tariffs[0], date(2026, 10, 23))
    true_fen = tariff.terms.seasons[0].charge(used=[180_000])
    line = {"kind": 1, "from": "20261023", "to": "20261122", "usage": "180000", "amount": str(true_fen)}
    draft = {"units": [{"name": "b07-0501", "lines": [line]}], "problems": []}
    padding = pad_draft(draft, "b07-0501", tariff)
    # 180 kWh at 0.538; 280 kWh: 230 at 0.538 and 50 at 0.588, by hand 96.84 and 153.14 yuan
    assert (padding.true_fen, padding.padded_fen) == (9684, 15314)
    assert (line["usage"], line["amount"]) == ("280000", "15314")


def test_a_draft_without_the_units_line_says_its_problems(site: Site) -> None:
    tariff = contract_tariff(site.tariffs[0], date(2026, 10, 23))
    with pytest.raises(DemoError, match="no boundary entry"):
        pad_draft({"units": [], "problems": ["no boundary entry"]}, "b07-0501", tariff)


def test_the_launchers_state_is_kept_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    now_ms = at_ms(2026, 11, 22, 15, 30)
    month = last_month(now_ms, SHANGHAI)
    state = DemoState(
        phase="live",
        month=month,
        clock=month_clock(month, real_start_ms=now_ms, real_seconds=60),
        ports=choose_ports(),
        challenge_seconds=15,
        padded_unit="b07-0501",
        left_out=("water",),
    )
    path = tmp_path / "demo.json"
    assert read_state(path) is None
    write_state(path, state)
    assert read_state(path) == state
    path.write_text(json.dumps({"format": "minglou-demo/1"}))
    with pytest.raises(DemoError, match="delete the directory"):
        read_state(path)


def test_two_demos_share_no_port_even_while_a_process_of_the_first_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = {name: free_port() for name in asdict(choose_ports())}
    monkeypatch.setattr("provisioning.demo.state._WANTED", usual)
    first = choose_ports()
    assert asdict(first) == usual
    with socket.create_server(("127.0.0.1", first.cloud)):
        second = choose_ports()
        again = choose_ports(first)
    assert not set(asdict(first).values()) & set(asdict(second).values())
    assert again.cloud != first.cloud and again.chain == first.chain
