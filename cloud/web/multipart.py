"""A form with a file in it, as browsers without scripts send one (RFC 7578): short fields, and one file at most."""

import re
from dataclasses import dataclass, field

__all__ = ["PostedForm", "parse_multipart"]

_BOUNDARY = re.compile(r'multipart/form-data;\s*boundary="?([A-Za-z0-9\'()+_,./:=? -]{1,70})"?\s*', re.IGNORECASE)
_NAME = re.compile(rb'(?:^|;)\s*name="([a-z]{1,20})"')
_FIELDS_MAX = 16
_HEAD_BYTES_MAX = 1024
_FIELD_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True)
class PostedForm:
    """Text fields by name, and the file's bytes; empty where none was chosen."""

    fields: dict[str, str] = field(default_factory=dict)
    file: bytes = b""


def parse_multipart(content_type: str, body: bytes) -> PostedForm | None:
    """The form in a body; None for what is none, is not whole, or holds more than a form of ours does."""
    found = _BOUNDARY.fullmatch(content_type)
    if found is None:
        return None
    mark = b"\r\n--" + found[1].encode("ascii")
    first, *parts = (b"\r\n" + body).split(mark, _FIELDS_MAX + 2)
    if first or not parts or not parts[-1].startswith(b"--") or len(parts) > _FIELDS_MAX + 1:
        return None
    form = PostedForm()
    file = b""
    for part in parts[:-1]:
        head, gap, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        disposition = _disposition(head) if gap and len(head) <= _HEAD_BYTES_MAX else b""
        name = _NAME.search(disposition)
        if name is None:
            return None
        if b"filename=" in disposition:
            file = file or content
        elif len(content) > _FIELD_BYTES_MAX:
            return None
        else:
            form.fields[name[1].decode("ascii")] = content.decode("utf-8", "replace")
    return PostedForm(form.fields, file)


def _disposition(head: bytes) -> bytes:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-disposition":
            return value.strip()
    return b""
