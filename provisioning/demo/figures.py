"""The demo's counts, asked of the processes themselves: what was sent, what was logged, what is anchored."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provisioning.demo.errors import DemoError
from provisioning.demo.processes import fetch_json
from provisioning.demo.progress import Progress
from provisioning.demo.state import DemoState
from provisioning.settings import Places

__all__ = ["Figures", "Snapshot"]

_ANCHOR_WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The three processes' own counts at one time; empty where one does not answer."""

    building: dict[str, Any]
    gateway: dict[str, Any]
    cloud: dict[str, Any]


class Figures:
    """Asks the processes for their counts and shows them."""

    def __init__(self, places: Places, state: DemoState, progress: Progress) -> None:
        self._control = places.building / "control.sock"
        self._status_url = f"http://127.0.0.1:{state.ports.status}/status.json"
        self._cloud_url = f"http://127.0.0.1:{state.ports.cloud}/v1/status"
        self._progress = progress

    async def snapshot(self) -> Snapshot:
        """The counts now."""
        building, gateway, cloud = await asyncio.gather(
            ask_building(self._control, {"do": "counters"}),
            asyncio.to_thread(fetch_json, self._status_url),
            asyncio.to_thread(fetch_json, self._cloud_url),
        )
        return Snapshot(building=building, gateway=gateway, cloud=cloud)

    async def follow(self, every_seconds: float = 1.0) -> None:
        """Show the counts until cancelled."""
        while True:
            now = await self.snapshot()
            self._progress.figures = {
                "电表帧 meter frames": now.building.get("frames_answered", 0),
                "MQTT 消息 messages": sum(now.building.get("mqtt_acknowledged", {}).values()),
                "网关记录 entries": now.gateway.get("entries", 0),
                "云端持有 in the cloud": now.cloud.get("entries", 0),
                "上链检查点 anchored": now.cloud.get("anchored_size", 0),
                "最终区块 final block": now.cloud.get("final_block", 0),
            }
            await asyncio.sleep(every_seconds)

    async def wait_until_anchored(self) -> Snapshot:
        """Wait until the cloud holds everything that the gateway had logged when asked, and all of it is anchored.

        Raises:
            DemoError: it took longer than a minute; the message carries the three sizes.
        """
        deadline = time.monotonic() + _ANCHOR_WAIT_SECONDS
        logged = int((await self.snapshot()).gateway.get("entries", 0))
        while time.monotonic() < deadline:
            now = await self.snapshot()
            if logged and int(now.gateway.get("anchored") or 0) >= logged:
                return now
            logged = logged or int(now.gateway.get("entries", 0))
            await asyncio.sleep(0.25)
        gateway, cloud = now.gateway, now.cloud
        raise DemoError(
            f"not all was anchored within {_ANCHOR_WAIT_SECONDS:.0f} s: gateway {gateway.get('entries')} entries, "
            f"{gateway.get('uploaded')} sent, {gateway.get('anchored')} anchored; "
            f"the cloud holds {cloud.get('entries')}; look at cloud.log"
        )


async def ask_building(control: Path, question: dict[str, Any]) -> dict[str, Any]:
    """The building's answer to one control command; empty when it does not answer."""
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_unix_connection(str(control)), 2.0)
    except (OSError, TimeoutError):
        return {}
    try:
        writer.write(json.dumps(question).encode() + b"\n")
        line = await asyncio.wait_for(reader.readline(), 3.0)
        answer = json.loads(line)
    except (OSError, TimeoutError, ValueError):
        return {}
    finally:
        writer.close()
    return answer if isinstance(answer, dict) else {}
