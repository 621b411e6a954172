"""A monitor of the demo's deployment, as an owner with a laptop would set one up."""

from __future__ import annotations

from pathlib import Path

from provisioning.demo.cheats.scene import Scene
from provisioning.demo.witnesses import PARTIES
from provisioning.files import write_text
from provisioning.toml_text import Section, toml_document

__all__ = ["write_monitor"]


def write_monitor(scene: Scene) -> Path:
    """Its settings file: the trust file, the cloud's address, a node, the honest witnesses, the gateway's page."""
    home, ports = scene.places.root / "monitor", scene.state.ports
    monitor: Section = {
        "trust_file": str(scene.places.trust_file),
        "cloud_url": scene.cloud_url,
        "rpc": scene.rpc_url,
        "state_dir": str(home),
    }
    sections: list[tuple[str, Section]] = [("monitor", monitor)]
    sections += [
        ("[witness]", {"name": f"{party.name}.{scene.site.host}/witness", "url": party.url(ports)})
        for party in PARTIES
        if not party.colludes
    ]
    sections.append(("[gateway]", {"origin": scene.origin, "url": f"http://127.0.0.1:{ports.status}"}))
    path = home / "monitor.toml"
    write_text(path, toml_document("An owner's monitor.", sections))
    return path
