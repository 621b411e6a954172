"""Settings files: one TOML table whose keys are taken one by one, so that a misspelt one is never overlooked."""

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloud.errors import SettingsError

__all__ = ["Table", "read_toml"]

_WHOLE_MAX = 2**63


class Table:
    """One TOML table whose keys are taken one by one; what is left over is a mistake."""

    def __init__(self, file: Path, name: str, values: Any) -> None:
        if not isinstance(values, Mapping):
            raise SettingsError(f"{file}: [{name}] must be a table")
        self._file, self._name, self._values = file, name, dict(values)

    def take(self, key: str, kind: type[Any], default: Any = ...) -> Any:
        if key not in self._values:
            if default is ...:
                raise SettingsError(f"{self._file}: [{self._name}] lacks {key}; add it")
            return default
        value = self._values.pop(key)
        if kind is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < _WHOLE_MAX:
            value = float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise SettingsError(f"{self._file}: [{self._name}] {key} is {value!r}; it must be of type {kind.__name__}")
        if isinstance(value, float) and not math.isfinite(value):
            raise SettingsError(f"{self._file}: [{self._name}] {key} is {value}; write a number that ends")
        return value

    def tables(self, key: str) -> "list[Table]":
        """The tables of an array of tables; none where the key is missing."""
        values = self.take(key, list, [])
        return [Table(self._file, f"{self._name}.{key}", value) for value in values]

    def path(self, key: str, default: Any = ...) -> Path | None:
        value = self.take(key, str, default)
        return None if value is None else self._placed(key, value)

    def needed_path(self, key: str) -> Path:
        return self._placed(key, str(self.take(key, str)))

    def _placed(self, key: str, value: str) -> Path:
        try:
            return (self._file.parent / value).resolve()
        except (ValueError, OSError, RuntimeError) as error:  # a zero byte; links that lead in a circle
            raise SettingsError(
                f"{self._file}: [{self._name}] {key} is {value!r}, which is no path: {error}"
            ) from error

    def done(self) -> None:
        if self._values:
            raise SettingsError(
                f"{self._file}: [{self._name}] has unknown keys {', '.join(sorted(self._values))}; "
                "remove or correct them"
            )


def read_toml(file: Path) -> dict[str, Any]:
    """The document in a TOML file. Raises `SettingsError`."""
    try:
        return tomllib.loads(file.read_bytes().decode())
    except OSError as error:
        raise SettingsError(f"settings file {file} cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"settings file {file} is not TOML, which is UTF-8: {error.reason}; save it so") from error
    except (ValueError, RecursionError) as error:  # also a number or nesting that no parser takes
        raise SettingsError(f"settings file {file} is not TOML: {error}") from error
