"""The mirror itself: rounds of fetching, verifying, keeping and acknowledging, for ever or one by one."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cloud.errors import ArchiveError, CloudError, MirrorError
from cloud.mirror.audit_heads import AuditHeads
from cloud.mirror.cloud_client import CloudClient, ShownLog
from cloud.mirror.contradictions import Contradiction, Contradictions
from cloud.mirror.judgement import continue_copy, differs, named_checkpoint
from cloud.mirror.keys import KeyBook
from cloud.segments import Archive, LogFiles
from cloud.segments.notes import AUDIT_HEADS, NotesFile
from contracts import ed25519
from contracts.checkpoint import Checkpoint, open_checkpoint
from contracts.copy_note import sign_acknowledgement
from contracts.errors import ContractsError, RpcError, SegmentError
from contracts.segment import Frame, decode_frame, encode_frame
from contracts.tree import Frontier
from contracts.trust import Trust

__all__ = ["Mirror", "Round"]

_log = logging.getLogger("cloud.mirror")
_FAILURE_SECONDS_MAX = 60.0
_LOGS_MAX = 200_000
_REFUSALS_SAID = 3
_OF_ONE_LOG = (MirrorError, ArchiveError, RpcError, SegmentError)
"""What is wrong with one log, in the cloud or in the copy, and keeps from no other."""


@dataclass(slots=True, kw_only=True)
class Round:
    """What one round did."""

    logs: int = 0
    entries: int = 0
    audit_heads: int = 0
    acknowledged: int = 0
    refused_logs: int = 0
    problems: int = 0


class Mirror:
    """One copy of one cloud's logs. Only one process may run on a folder.

    Args:
        takes_erased: whether entries that the cloud has erased already are taken as they are.
        trust: whose signature the super-log needs, which holds the audit log's heads; None where only keys are pinned.
    """

    def __init__(
        self,
        *,
        name: str,
        key: ed25519.PrivateKey,
        cloud: CloudClient,
        archive: Archive,
        contradictions: Contradictions,
        keys: KeyBook,
        acknowledge_seconds: float,
        rng: random.Random,
        now_ms: Callable[[], int],
        takes_erased: bool = False,
        trust: Trust | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._takes_erased = takes_erased
        self._name, self._key, self._cloud, self._archive = name, key, cloud, archive
        self._audit_heads = AuditHeads(cloud, NotesFile(archive.folder / AUDIT_HEADS), trust)
        self._contradictions, self._keys = contradictions, keys
        self._acknowledge_seconds, self._rng, self._now_ms, self._monotonic = (
            acknowledge_seconds,
            rng,
            now_ms,
            monotonic,
        )
        self._acknowledged: dict[str, int] = {}
        self._acknowledge_at = 0.0
        self._refused: dict[str, str] = {}
        self._said: dict[str, str] = {}

    async def run(self, *, pause_seconds: float, say: Callable[[str], None]) -> None:
        """Rounds until cancelled; a cloud that is away for weeks is asked again and again."""
        failures = 0
        while True:
            try:
                done = await self.round()
            except CloudError as error:
                failures += 1
                self._complain("", str(error))
                await asyncio.sleep(min(_FAILURE_SECONDS_MAX, 0.5 * 2 ** min(failures, 8)) * (0.5 + self._rng.random()))
                continue
            failures = 0
            self._said.pop("", None)
            if done.entries or done.acknowledged:
                say(f"mirror: {done.entries} entries more, {done.logs} logs, {done.acknowledged} acknowledged")
            await asyncio.sleep(pause_seconds)

    async def round(self) -> Round:
        """Look at every log once.

        Raises:
            CloudError: the cloud or the disk is not there; what is held is as before.
        """
        done = Round()
        self._refused = await asyncio.to_thread(self._contradictions.open_ones)
        shown = list[ShownLog]()
        async for log in self._cloud.logs():
            if len(shown) == _LOGS_MAX:
                raise MirrorError(f"the cloud lists over {_LOGS_MAX} logs; is it the right one?")
            shown.append(log)
        for log in shown:
            done.logs += 1
            if log.origin in self._refused:
                done.refused_logs += 1
                continue
            try:
                done.entries += await self._follow(log)
            except _OF_ONE_LOG as error:
                done.problems += 1
                self._complain(log.origin, str(error))
            else:
                self._said.pop(log.origin, None)
        try:
            await self._look_back(shown)
        except _OF_ONE_LOG as error:
            done.problems += 1
            self._complain("look back", str(error))
        try:
            done.audit_heads = await self._audit_heads.follow()
        except _OF_ONE_LOG as error:
            done.problems += 1
            self._complain("audit log", str(error))
        else:
            self._said.pop("audit log", None)
        done.acknowledged = await self._acknowledge()
        return done

    async def _follow(self, shown: ShownLog) -> int:
        """Fetch what the copy lacks of one log; how many entries."""
        files = self._archive.log(shown.origin)
        before = size = await asyncio.to_thread(lambda: files.size)
        await asyncio.to_thread(self._check_shown, files, shown)
        if shown.origin in self._refused:
            return 0
        while size < shown.size:
            frames = await self._cloud.frames(shown.origin, size)
            if not frames:
                break  # stored there, and soon in its segments
            await asyncio.to_thread(self._take, files, frames)
            if files.size == size:
                break
            size = files.size
        return size - before

    def _check_shown(self, files: LogFiles, shown: ShownLog) -> None:
        """The cloud's own last checkpoint against the copy, where the copy reaches so far."""
        held = files.head
        if held is None or shown.size > held.size or shown.note == files.note:
            return
        public = _key_of_last(files)
        try:
            signed = open_checkpoint(shown.note, public).checkpoint
        except ContractsError as error:
            raise MirrorError(f"{shown.origin}: the cloud shows a checkpoint that does not hold: {error}") from error
        if signed.origin != shown.origin or signed.size != shown.size:
            raise MirrorError(f"{shown.origin}: the cloud shows a checkpoint of {signed.origin} {signed.size}")
        own_root = _root_at(files, shown.size)
        versions = {"held": files.note.encode(), "shown": shown.note.encode()}
        if own_root != signed.root:
            says = f"{shown.origin}: the gateway signed two roots for size {shown.size}"
            self._keep(Contradiction(kind="fork", origin=shown.origin, size=shown.size, says=says, **versions))
        elif shown.size < held.size:
            says = f"{shown.origin}: the cloud shows {shown.size} entries where it showed {held.size}; it lost or hides"
            self._keep(Contradiction(kind="shrunk", origin=shown.origin, size=shown.size, says=says, **versions))

    def _take(self, files: LogFiles, frames: Sequence[bytes]) -> None:
        """Verify and keep frames, durably."""
        try:
            for encoded in frames:
                frame = named_checkpoint(encoded, files.origin)
                if not self._keys.knows(files.origin, frame.public):
                    raise MirrorError(
                        f"{files.origin}: signed by a key that is not this log's in the Registry or pinned"
                    )
                found = continue_copy(frame, files.frontier, files.note)
                if isinstance(found, Contradiction):
                    self._keep(found)
                    return
                self._check_whole(found.frame, files.origin)
                files.append(encode_frame(found.frame), found.frame, found.frontier)
        finally:
            files.flush()

    def _check_whole(self, frame: Frame, origin: str) -> None:
        """Refuse what the cloud has erased before the copy had it: acknowledged, it would be pruned and be nowhere."""
        lacking = [frame.start + at for at in sorted(frame.lacking())]
        if lacking and not self._takes_erased:
            raise MirrorError(
                f"{origin}: the cloud has erased {len(lacking)} entries, the first is {lacking[0]}, before this copy "
                "had them; they are neither taken nor acknowledged, so their gateway keeps them: ask the cloud's "
                "operator why. A copy that begins late takes them with `minglou mirror run --once --take-erased`"
            )

    async def _look_back(self, shown: Sequence[ShownLog]) -> None:
        """One frame of one log again, at random: files that were changed behind the copy's back show themselves."""
        candidates = [log.origin for log in shown if log.origin not in self._refused]
        if not candidates:
            return
        files = self._archive.log(self._rng.choice(candidates))
        if files.size:
            await self.look_again(files.origin, self._rng.randrange(files.size))

    async def look_again(self, origin: str, index: int) -> None:
        """Compare what the cloud shows of the frame that holds this entry with the copy."""
        files = self._archive.log(origin)
        frames = await self._cloud.frames(origin, index)
        if not frames:
            raise MirrorError(f"{origin}: the cloud shows nothing any more of entry {index}, which it has shown")
        await asyncio.to_thread(self._compare, files, index, frames[0])

    def _compare(self, files: LogFiles, index: int, encoded: bytes) -> None:
        held, shown = decode_frame(next(files.frames(index))), named_checkpoint(encoded, files.origin)
        if not shown.start <= index < shown.end:
            raise MirrorError(
                f"{files.origin}: asked for entry {index}, it shows {shown.start} to {shown.end}; what does it hide?"
            )
        found = differs(held, shown)
        if found is not None:
            self._keep(found)

    async def _acknowledge(self) -> int:
        """Sign what is on the disk, for every log that grew, once in a while."""
        if self._monotonic() < self._acknowledge_at:
            return 0
        notes, sizes = list[str](), dict[str, int]()
        for origin in await asyncio.to_thread(self._archive.origins):
            try:
                held = await asyncio.to_thread(self._head, origin)
            except ArchiveError:
                continue  # damaged here, and said when it was followed
            if held is not None and origin not in self._refused and held.size > self._acknowledged.get(origin, 0):
                notes.append(sign_acknowledgement(held, self._name, self._key))
                sizes[origin] = held.size
        if not notes:
            return 0
        refusals = await self._cloud.acknowledge(notes)
        self._complain("acknowledgement", "; ".join(refusals[:_REFUSALS_SAID]))
        # What was refused is given again: the cloud may have come back from an older copy, and will grow.
        words = {word.strip(":;,.") for says in refusals for word in says.split()}
        given = {origin: size for origin, size in sizes.items() if origin not in words}
        self._acknowledged.update(given if len(sizes) - len(given) >= len(refusals) else {})
        self._acknowledge_at = self._monotonic() + self._acknowledge_seconds
        return len(given)

    def _head(self, origin: str) -> Checkpoint | None:
        return self._archive.log(origin).head

    def _keep(self, found: Contradiction) -> None:
        self._contradictions.keep(found, at_ms=self._now_ms())
        if found.ends_the_log:
            self._refused[found.origin] = found.says

    def _complain(self, about: str, says: str) -> None:
        """Once for each new sentence; an empty one says that all is well again."""
        if self._said.get(about, "") == says:
            return
        self._said[about] = says
        if says:
            _log.warning("mirror: %s (trying again)", says)


def _key_of_last(files: LogFiles) -> bytes:
    """The key under the copy's last checkpoint, which was looked up when it was taken."""
    return decode_frame(next(files.frames(files.size - 1))).public


def _root_at(files: LogFiles, size: int) -> bytes:
    """The copy's root at a size that it holds."""
    frame = decode_frame(next(files.frames(size - 1)))
    frontier = Frontier(frame.start, frame.peaks)
    frontier.extend(frame.leaf_hashes()[: size - frame.start])
    return frontier.root()
