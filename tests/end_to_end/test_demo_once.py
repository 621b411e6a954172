"""`minglou demo --once`: one month lived through by real processes, verified, charged, disputed and refunded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.demo_run import DemoRun, processes_of

# The bound is 120 s after set-up on 2 free cores; other tests may share them.
SECONDS_MAX = 1500


@pytest.mark.slow
@pytest.mark.timeout(SECONDS_MAX + 30)
def test_a_month_is_verified_from_the_meters_to_the_refund(tmp_path: Path) -> None:
    directory = tmp_path / "demo"
    demo = DemoRun(directory, "--once")
    try:
        code = demo.wait(SECONDS_MAX)
    finally:
        demo.end()
    said = demo.said()
    assert code == 0, said
    assert "✗" not in said
    for row in (
        "DL/T 645 frames",
        "MQTT messages",
        "log entries",
        "evidence flat-closing",
        "checked in Chromium",
        "after the dispute",
        "visit of l1, signed and made",
        "visit of l2, signed but never made",
        "visit of l1 on chain",
        "fee of l1 released",
        "l2 overdue",
        "files of kinds 1, 2, 3, 4, 5, 6",
        "`minglou mirror verify` on the committee's copy",
        "the committee's copy: gateway has its signature = entries",
        "`minglou monitor run --once`",
        "one witness off",
        "anchoring waits: 1 of the 2 cosignatures needed",
        "all three cosign",
        "cosigned by the volunteer, refused by committee and regulator: witnessed 1 of 3",
    ):
        assert row in said
    assert processes_of(directory) == []
    assert demo.left_at_home() == []
