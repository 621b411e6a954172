"""Who serves the site is the chain's word: its people stand before the directory's."""

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from cloud.directory import DirectoryFile
from cloud.maintenance.records import MemberRecord
from cloud.maintenance.roster import Roster
from contracts.calls.crews import Duty
from contracts.crew_signature import CrewKey
from contracts.p256 import key_from_secret, public_bytes
from contracts.person import KeyKind
from tests.cloud.test_visits import directory
from tests.visits import ALIASES, MANAGER, MECHANIC, OTHER

NEW_KEY, NEW_ALIAS = key_from_secret(4711), sha256(b"a new phone").digest()


@dataclass
class Chain:
    """What a follower has folded."""

    members: dict[bytes, MemberRecord] = field(default_factory=dict)
    crew_changes: int = 0

    def say(self, alias: bytes, member: MemberRecord) -> None:
        self.members[alias] = member
        self.crew_changes += 1


def serving(public: bytes, *, firm: int = 1, duties: int = Duty.MECHANIC) -> MemberRecord:
    x, y = int.from_bytes(public[:32]), int.from_bytes(public[32:])
    key = CrewKey(duties=duties, licence_until_s=2**33, x=x, y=y, kind=KeyKind.SOFTWARE)
    return MemberRecord(firm=firm, duties=duties, licence_until_s=2**33, key_id=sha256(public).digest(), key=key)


def test_a_key_serves_once_the_chain_has_it_and_no_longer_than_that(tmp_path: Path) -> None:
    file, chain = DirectoryFile(written(tmp_path)), Chain()
    file.join(Roster(chain))
    assert file.read().crew_of(NEW_ALIAS) is None
    chain.say(NEW_ALIAS, serving(public_bytes(NEW_KEY)))
    member = file.read().crew_of(NEW_ALIAS)
    assert member is not None
    assert (member.public, member.firm_number, member.duty) == (public_bytes(NEW_KEY), 1, "mechanic")
    chain.say(NEW_ALIAS, MemberRecord(firm=1))
    assert file.read().crew_of(NEW_ALIAS) is None


def test_the_chains_word_goes_before_the_files_and_leaves_the_others(tmp_path: Path) -> None:
    file, chain = DirectoryFile(written(tmp_path)), Chain()
    file.join(Roster(chain))
    named = file.read().crew_of(ALIASES[MECHANIC])
    assert named is not None
    chain.say(ALIASES[MECHANIC], serving(public_bytes(NEW_KEY)))
    chain.say(ALIASES[OTHER], MemberRecord(firm=1))
    found = file.read()
    changed = found.crew_of(ALIASES[MECHANIC])
    assert changed is not None
    assert (changed.public, changed.firm) == (public_bytes(NEW_KEY), named.firm)
    assert found.crew_of(ALIASES[OTHER]) is None
    assert found.crew_of(ALIASES[MANAGER]) is not None


def test_a_mechanic_who_may_hang_up_meters_is_told_as_both(tmp_path: Path) -> None:
    file, chain = DirectoryFile(written(tmp_path)), Chain()
    file.join(Roster(chain))
    for duties, duty, installs in (
        (Duty.MECHANIC, "mechanic", False), (Duty.MECHANIC | Duty.INSTALLER, "mechanic", True),
        (Duty.INSTALLER, "installer", True),
    ):  # fmt: skip
        chain.say(NEW_ALIAS, serving(public_bytes(NEW_KEY), duties=duties))
        member = file.read().crew_of(NEW_ALIAS)
        assert member is not None
        assert (member.duty, member.installs) == (duty, installs)


def test_a_directory_is_made_anew_only_when_file_or_chain_has_changed(tmp_path: Path) -> None:
    path, chain = written(tmp_path), Chain()
    file = DirectoryFile(path)
    file.join(Roster(chain))
    first = file.read()
    assert file.read() is first
    chain.say(NEW_ALIAS, serving(public_bytes(NEW_KEY), firm=0, duties=Duty.SITE_MANAGER))
    second = file.read()
    assert second is not first
    member = second.crew_of(NEW_ALIAS)
    assert member is not None
    assert (member.firm, member.duty) == (second.title, "manager")
    assert file.read() is second
    path.write_text(directory(MECHANIC) + " ")
    third = file.read()
    assert third is not second
    assert third.crew_of(NEW_ALIAS) is not None


def written(folder: Path) -> Path:
    path = folder / "directory.json"
    path.write_text(directory(MECHANIC, OTHER, MANAGER))
    return path
