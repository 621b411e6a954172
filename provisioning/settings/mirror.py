"""`mirror.toml`: the committee's own copy of the logs, and how cloud and gateway know it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from provisioning.settings.places import Places, Ports
from provisioning.toml_text import Section, toml_document

__all__ = ["NamedCopy", "cloud_copy", "gateway_copy", "mirror_file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedCopy:
    """An independent copy: its name, its Ed25519 key, and the token with which it asks the cloud."""

    name: str
    public: bytes
    token_file: Path


def gateway_copy(copy: NamedCopy) -> tuple[str, Section]:
    """The table by which a gateway knows a copy: nothing is pruned that this key has not signed for."""
    return "[copy]", {"name": copy.name, "key": copy.public.hex()}


def cloud_copy(copy: NamedCopy) -> tuple[str, Section]:
    """The table by which the cloud lets a copy fetch all logs."""
    return "[copy]", {"name": copy.name, "key": copy.public.hex(), "token_file": str(copy.token_file)}


def mirror_file(copy: NamedCopy, *, places: Places, ports: Ports, seconds: float) -> str:
    """The settings of `minglou mirror run`. `seconds`: pause between rounds, and between acknowledgements."""
    home = places.mirror
    return toml_document(
        "Written by `minglou provision`: the committee's own copy, on the committee's machine.",
        [
            (
                "mirror",
                {
                    "name": copy.name,
                    "data_dir": str(home / "data"),
                    "key_file": str(home / "copy.pem"),
                    "seconds": seconds,
                    "acknowledge_seconds": seconds,
                },
            ),
            ("cloud", {"url": f"http://127.0.0.1:{ports.cloud}", "token_file": str(copy.token_file)}),
            ("keys", {"trust_file": str(places.trust_file), "rpc": f"http://127.0.0.1:{ports.chain}"}),
        ],
    )
