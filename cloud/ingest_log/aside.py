"""What can never be stored: kept apart with its reason, shown, and its log taken back to what the store holds.

The gateway still has those entries, for it prunes only what is anchored and copied; with the log taken back it is told
`gap` and sends them again. So nothing waits for a person, and nothing that was acknowledged is forgotten.
"""

import logging

from nats.aio.msg import Msg

from cloud.errors import IngestLogError
from cloud.ingest.judgement import LogHead
from cloud.ingest_log.log import IngestLog, OtherRecord
from cloud.ingest_log.record import RESET, RecordError, encode_record, origin_of

__all__ = ["Aside"]

_log = logging.getLogger("cloud.ingest_log")
_TRIES = 10  # of taking a log back that others continue meanwhile


class Aside:
    """Sets messages aside."""

    def __init__(self, log: IngestLog) -> None:
        self._log = log

    def origin_of(self, message: Msg) -> str | None:
        """The log that a message stands in the place of; None where its subject is no log's."""
        try:
            return origin_of(self._log.settings.subject, message.subject)
        except RecordError:
            return None

    async def put(self, message: Msg, reason: str, stored: LogHead | None) -> None:
        """Keep the message apart, and take its log back.

        Args:
            stored: the log's head in the store.

        Raises:
            IngestLogError: the log does not answer; the message must come again.
        """
        place = message.metadata.sequence.stream
        await self._log.set_aside(message, reason)
        _log.error("cloud: message %d of the ingest log is set aside: %s", place, reason)
        origin = self.origin_of(message)
        if origin is not None:
            await self._take_back(origin, place, stored)

    async def _take_back(self, origin: str, place: int, stored: LogHead | None) -> None:
        for _ in range(_TRIES):
            last = await self._last_place(origin, place)
            if last is None:
                return
            headers, body = encode_record(RESET, stored, None, expected=last)
            try:
                await self._log.publish(origin, headers, body)
            except OtherRecord:
                continue
            return
        raise IngestLogError(f"{origin} is continued all the time; it is taken back when its message comes again")

    async def _last_place(self, origin: str, place: int) -> int | None:
        """The place of the log's last message. None where the log need not be taken back: none of its messages is left,
        it was done since `place`, or will be when the turn of a later message comes that cannot be read.
        """
        try:
            record = await self._log.last(origin)
            if record is None:
                return None
            last = record.sequence
            while record is not None and record.sequence > place:
                if record.kind == RESET:
                    return None
                record = await self._log.at(record.previous) if record.previous else None
        except RecordError as error:
            return place if error.sequence <= place else None
        return last
