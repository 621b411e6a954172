"""A systemd unit for `minglou cloud up`: the hardened one that is shipped, with this machine's places."""

import pwd
import re
import sys
from importlib.resources import files
from pathlib import Path

__all__ = ["unit_text"]

_SHIPPED = "deploy/systemd/minglou-sites.service"
_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))


def unit_text(root: Path, words: list[str]) -> str:
    """The unit that runs `minglou cloud up` with these words as the owner of its folder."""
    text = (files("cloud") / _SHIPPED).read_text("utf-8")
    owner = pwd.getpwuid(root.stat().st_uid).pw_name
    minglou = Path(sys.executable).with_name("minglou")
    lines = [
        f"# Written by `minglou cloud up --systemd`, for {root}.",
        *(line for line in text.splitlines() if not re.match(r"#|(State|Configuration)Directory|ExecReload", line)),
    ]
    exchanged = {
        "Description": "Minglou cloud",
        "ExecStart": " ".join(_quoted(word) for word in (str(minglou), "cloud", "up", *words)),
        "User": owner,
        "Group": owner,
        "WorkingDirectory": str(root).replace("%", "%%"),
        "ProtectHome": "read-only" if any(_is_below(place) for place in (root, minglou)) else "yes",
    }
    said = []
    for line in lines:
        key, _, value = line.partition("=")
        said.append(f"{key}={exchanged.get(key, value)}" if value else line)
        if key == "ProtectSystem":
            said.append(f"ReadWritePaths={_quoted(str(root))}")
    return "\n".join(said) + "\n"


def _is_below(path: Path) -> bool:
    return any(path.is_relative_to(home) for home in _HOMES)


def _quoted(word: str) -> str:
    """A word as systemd reads it."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if re.search(r"[\s\"'\\;]", escaped) else escaped
