"""Where the files and ports of one deployment are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from contracts.clock import DemoClock

__all__ = ["Places", "Ports", "clock_section"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """TCP ports on this machine's loopback."""

    chain: int
    cloud: int
    control: int  # the launcher's own page
    status: int  # the gateway's status page
    endpoint: int  # the gateway's MQTT endpoint
    broker: int
    committee_witness: int = 8621
    volunteer_witness: int = 8622
    regulator_witness: int = 8623


@dataclass(frozen=True, slots=True)
class Places:
    """The files below one directory; made readable by their owner alone."""

    root: Path

    @property
    def site_file(self) -> Path:
        return self.root / "site.toml"

    @property
    def names_file(self) -> Path:
        return self.root / "names.json"

    @property
    def people_file(self) -> Path:
        return self.root / "people.json"

    @property
    def cards_file(self) -> Path:
        """Whose card opens machine rooms: personal data, on the manager's machine alone."""
        return self.root / "cards.json"

    @property
    def trust_file(self) -> Path:
        return self.root / "trust.json"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def owners(self) -> Path:
        return self.keys / "owners"

    @property
    def crews(self) -> Path:
        return self.keys / "crews"

    @property
    def chain(self) -> Path:
        return self.root / "chain"

    @property
    def deployment_file(self) -> Path:
        return self.chain / "deployment.json"

    @property
    def gateway(self) -> Path:
        return self.root / "gateway"

    @property
    def building(self) -> Path:
        return self.root / "building"

    @property
    def broker(self) -> Path:
        return self.root / "broker"

    @property
    def bluetooth(self) -> Path:
        return self.root / "bluetooth"

    @property
    def cloud(self) -> Path:
        return self.root / "cloud"

    def witness(self, party: str) -> Path:
        """The directory of one party's witness."""
        return self.root / "witnesses" / party

    @property
    def mirror(self) -> Path:
        """The committee's own copy of the logs."""
        return self.root / "mirror"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def passwords(self) -> Path:
        return self.root / "passwords"

    def key(self, role: str) -> Path:
        """The chain key of a role: deployer, manager, committee, operator, registrar, relayer, cashier."""
        return self.keys / f"{role}.key"

    def password(self, username: str) -> Path:
        """The file that holds an MQTT user's password."""
        return self.passwords / username


def clock_section(clock: DemoClock | None) -> list[tuple[str, dict[str, str | int]]]:
    """The `[clock]` table that every process of a demo reads; none at all where the system's clock rules."""
    if clock is None:
        return []
    return [
        (
            "clock",
            {
                "kind": "demo",
                "real_start_ms": clock.real_start_ms,
                "real_end_ms": clock.real_end_ms,
                "demo_start_ms": clock.demo_start_ms,
                "ahead_ms": clock.ahead_ms,
            },
        )
    ]
