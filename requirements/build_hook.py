"""Hatchling's hook: a wheel carries the compiled contracts and the reader of QR codes; to install it needs no tools."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledContracts(BuildHookInterface):  # type: ignore[type-arg]  # the build configuration's type is not ours
    """Compile the Vyper contracts; add the results and the codes' reader, which git does not keep, to the wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before a build; an editable one reads the working tree, where `make install` compiles."""
        if version == "editable":
            return
        subprocess.run([sys.executable, "-m", "contracts.vyper.compile"], cwd=self.root, check=True)
        built = Path(self.root) / "contracts" / "vyper" / "build"
        vendor = Path(self.root) / "cloud" / "web" / "static" / "vendor"
        carried = [*built.rglob("*.json"), *vendor.glob("*")]
        build_data["artifacts"] += [f"/{path.relative_to(self.root).as_posix()}" for path in carried]
