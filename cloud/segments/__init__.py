"""Append-only segments: the primary copy of every log on disk, beside the database that can be rebuilt from it.

The cloud's writer, a mirror's pull and the rebuild share the same folder of files; it imports the store only in its
writer.
"""

from cloud.segments.archive import Archive, LogFiles

__all__ = ["Archive", "LogFiles"]
