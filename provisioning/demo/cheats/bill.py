"""Altering a bill after it was posted: a smaller line for a friend, so that the others pay."""

from __future__ import annotations

from provisioning.demo.cheats.report import CheatReport
from provisioning.demo.cheats.scene import Scene
from provisioning.demo.errors import DemoError

__all__ = ["alter_a_bill"]


async def alter_a_bill(scene: Scene) -> CheatReport:
    """Take ten yuan off a flat's bill where the cloud keeps it."""
    raise DemoError("not here yet")
