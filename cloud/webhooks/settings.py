"""`[[webhook]]` tables: where to, signed with what, and about which kinds of news."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cloud.errors import SettingsError

__all__ = ["SECRET_BYTES_MIN", "Webhook", "secret_of", "webhooks_from_settings"]

SECRET_BYTES_MIN = 24
_PREFIX = "whsec_"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
_KEYS = {"name", "url", "secret_file", "events"}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One program that wants to be told."""

    name: str
    url: str
    secret_file: Path
    events: tuple[str, ...]  # patterns such as `usage_fees.*`

    def wants(self, kind: str) -> bool:
        """Whether news of this kind go there."""
        return any(fnmatchcase(kind, pattern) for pattern in self.events)


def webhooks_from_settings(file: Path, tables: Any) -> tuple[Webhook, ...]:
    """The hooks of a settings file's `[[webhook]]` tables.

    Raises:
        SettingsError: naming the hook, the key and the remedy.
    """
    if not isinstance(tables, Sequence) or not all(isinstance(table, Mapping) for table in tables):
        raise SettingsError(f"{file}: write each webhook as a table [[webhook]]")
    hooks = tuple(_webhook(file, table) for table in tables)
    names = [hook.name for hook in hooks]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingsError(f"{file}: webhook {twice[0]} stands twice; give each a name of its own")
    return hooks


def secret_of(text: str, *, name: str) -> bytes:
    """The key in a secret's file: `whsec_` and base64, as the Standard Webhooks specification writes it.

    Raises:
        SettingsError: it is not one, or too short.
    """
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if not text.startswith(_PREFIX) or len(key) < SECRET_BYTES_MIN:
        raise SettingsError(
            f"webhook {name}: its secret must be {_PREFIX} and the base64 of at least {SECRET_BYTES_MIN} random bytes; "
            f'write one with: echo "{_PREFIX}$(head -c 32 /dev/urandom | base64)"'
        )
    return key


def _webhook(file: Path, table: Mapping[str, Any]) -> Webhook:
    name = table.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SettingsError(f"{file}: [[webhook]] name is {name!r}; write one of a-z 0-9 -, at most 31 characters")
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise SettingsError(f"{file}: webhook {name} has unknown keys {', '.join(unknown)}; remove or correct them")
    url, secret, events = table.get("url"), table.get("secret_file"), table.get("events", ["*"])
    if not isinstance(url, str) or not _is_safe(url):
        raise SettingsError(f"{file}: webhook {name} url must be https://… (http only to this machine)")
    if not isinstance(secret, str):
        raise SettingsError(f"{file}: webhook {name} lacks secret_file; add it")
    if not isinstance(events, list) or not events or not all(isinstance(one, str) for one in events):
        raise SettingsError(f'{file}: webhook {name} events must list patterns, such as ["usage_fees.*", "fork"]')
    return Webhook(name=name, url=url, secret_file=(file.parent / secret).resolve(), events=tuple(events))


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    )
