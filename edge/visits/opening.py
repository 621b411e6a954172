"""Builds the desk of one gateway: what is looked at beside its machines, and the presence room where it is needed."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from contracts.clock import SystemClock
from contracts.entry import device_id
from contracts.quantities import CLOCK_STEP, DEVICE_ONLINE
from devices.credential import CredentialCommitter
from devices.visit_rules import KNOWN, TEST_CARD, RuleForm, VisitRule
from devices.watch_rules import WatchRule
from edge.clock_watch import ClockWatch
from edge.committer import Committer
from edge.registers import Registers
from edge.roster import Roster
from edge.settings import Settings
from edge.visits.calibration import Calibrations, places_of
from edge.visits.desk import VisitDesk
from edge.visits.sightings import (
    ACCESS_GRANTED,
    CODE_MS,
    DISPLAY_SLOT,
    EVERY_MS,
    Kept,
    Sightings,
    kept_for,
    retold_by,
)
from edge.visits.swap import Swaps
from edge.watch import Watch

if TYPE_CHECKING:
    from edge.presence import PresenceDesk
    from edge.visits.doors import CrewCards

_DISPLAY_EVERY_MS = 4 * 60_000  # of reports that tell no more than that somebody is there


def open_visit_desk(
    settings: Settings, roster: Roster, registers: Registers, committer: Committer, say: Callable[[str], None],
    credential_secret: bytes,
) -> VisitDesk:  # fmt: skip
    """The desk over the file of what the gateway saw.

    Raises:
        StoreError: a file beside the log cannot be made.
        SettingsError, KeyFileError: the file of the crew's cards is wrong, or others can read it.
    """
    cards = _cards(settings, credential_secret)
    rules = {device: fulfillable(own, cards) for device, own in roster.visit_rules.items()}
    sightings = Sightings(
        settings.data_dir / "visits.sqlite3", _kept(settings, roster, rules), cards.whose if cards else None,
        {device: retold_by(own) for device, own in rules.items()},
    )  # fmt: skip
    lined = [device for device, own in rules.items() if any(map(asks_for_line, own))]
    return VisitDesk(
        chain_id=settings.chain_id,
        contract=settings.maintenance_contract,
        key_class="file",  # the only place for a key today
        gateway=device_id(settings.urn),
        rules=rules,
        doors=roster.doors,
        packs=settings.packs,
        sightings=sightings,
        presence=_presence(settings, roster, sightings, credential_secret),
        swaps=Swaps({one.device: one for one in roster.recorders}, registers, committer, settings.clock),
        calibrations=Calibrations(rules, places_of(roster), device_id(settings.urn), registers, committer),
        watch=Watch(roster.watch_rules, sightings, committer, settings.clock, lined),
        committer=committer,
        clock=settings.clock,
        days=registers.days,
        say=say,
        steps=ClockWatch(SystemClock().now_ms).step_ms,
    )


def asks_for_line(rule: VisitRule) -> bool:
    """Whether a rule looks at a device's line, or must not go on believing what was said last when it is lost."""
    return rule.quantity == DEVICE_ONLINE or (rule.form is RuleForm.HELD and not rule.retold_s)


def _kept(settings: Settings, roster: Roster, rules: Mapping[bytes, Sequence[VisitRule]]) -> dict[bytes, Kept]:
    looked_at = {device: kept_for(own) for device, own in rules.items()}
    kept: dict[bytes, Kept] = {device: names for device, names in looked_at.items() if names}
    for device in (device for device, own in rules.items() if any(map(asks_for_line, own))):
        kept[device] = {DEVICE_ONLINE: CODE_MS, **kept[device]}
    for device, watched in roster.watch_rules.items():
        kept[device] = {**kept.get(device, {}), **{rule.quantity: _spacing_of(rule) for rule in watched}}
    for displays in roster.displays.values():
        kept |= {display: {DISPLAY_SLOT: _DISPLAY_EVERY_MS} for display in displays}
    for doors in roster.doors.values():
        kept |= {door: {**kept.get(door, {}), ACCESS_GRANTED: EVERY_MS} for door in doors}
    if roster.displays:
        gateway = device_id(settings.urn)
        kept[gateway] = {**kept.get(gateway, {}), CLOCK_STEP: EVERY_MS}
    return kept


def _spacing_of(rule: WatchRule) -> int:
    return _DISPLAY_EVERY_MS if rule.is_of_silence else CODE_MS


def fulfillable(rules: Sequence[VisitRule], cards: "CrewCards | None") -> list[VisitRule]:
    """Without a card that the gateway knows, a rule that asks for one would miss it at every visit."""
    unknown = (
        {KNOWN, TEST_CARD} if cards is None or not cards.knows_some else set() if cards.has_test_card else {TEST_CARD}
    )
    return [rule for rule in rules if rule.by not in unknown]


def _cards(settings: Settings, credential_secret: bytes) -> "CrewCards | None":
    if settings.crew_cards_file is None:
        return None
    from edge.visits.doors import CrewCards

    committer = CredentialCommitter(secret=credential_secret, new_nonce=bytes)
    return CrewCards.read(settings.crew_cards_file, committer.salt)


def _presence(settings: Settings, roster: Roster, sightings: Sightings, secret: bytes) -> "PresenceDesk | None":
    """None where nothing beside the machines could prove presence: then nothing of it is loaded."""
    if not (roster.displays or roster.doors or settings.crew_urls):
        return None
    from edge.presence import DisplaySecrets, Nonces, PresenceDesk
    from edge.presence.store import PresenceStore

    return PresenceDesk(
        gateway=device_id(settings.urn),
        displays=roster.displays,
        doors=roster.doors,
        secrets=DisplaySecrets(settings.data_dir),
        nonces=Nonces(secret, settings.clock),
        store=PresenceStore(settings.data_dir / "presence.sqlite3"),
        sightings=sightings,
        clock=settings.clock,
    )
