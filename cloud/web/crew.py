"""The crew app's way to a phone: its page, its worker, its manifest, its checklists, and the list of files to keep.

All of it is open to everybody and holds no data. The list is made of the very files that are served, so that a phone
keeps one whole version or none.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from cloud.web.page import STATIC_DIRECTORY, TEMPLATE_DIRECTORY, VERIFIER_DIRECTORY, Pages
from contracts.packs import NAMES, pack_bytes

__all__ = ["Shell", "pack_address", "routes"]

APP = "/crew"
_CREW, _VENDOR, _VERIFIER = "/static/crew/", "/static/vendor/", "/static/verifier/"
_CHARTS = f"{_VENDOR}uplot."  # of the owners' pages, which no phone need keep
_FOLDERS: Mapping[str, Path] = {
    _VERIFIER: VERIFIER_DIRECTORY,
    _VENDOR: STATIC_DIRECTORY / "vendor",
    _CREW: STATIC_DIRECTORY / "crew",
}
_FIRST_SCREEN = ("/static/crew/app.js", "/static/crew/screens/scan.js")
_KEPT_SUFFIXES = (".js", ".mjs", ".css", ".svg", ".wasm")
_IMPORT = re.compile(r'(?:^|[;\s])(?:import|export)\b[^"\';]*?\bfrom\s*"([^"]+)"', re.MULTILINE)
_SHEETS = ("minglou.css", "forms.css")
_SHELL_LINE = 'const SHELL = "";'
_MANIFEST = {
    "id": APP,
    "name": "明楼维保 Minglou crew",
    "short_name": "明楼维保",
    "lang": "zh-Hans-CN",
    "start_url": APP,
    "scope": "/",
    "display": "standalone",
    "background_color": "#f6f7f5",
    "theme_color": "#0a5c5a",
    "icons": [{"src": "/static/crew/icon.svg", "type": "image/svg+xml", "sizes": "any", "purpose": "any maskable"}],
}


@dataclass(frozen=True)
class Shell:
    """One version of the app: every file that a phone keeps."""

    @cached_property
    def files(self) -> Mapping[str, bytes]:
        """The files' bytes by the address that serves them."""
        found = {
            APP: self.page,
            "/crew.webmanifest": self.manifest,
            **{f"/static/{name}": (STATIC_DIRECTORY / name).read_bytes() for name in _SHEETS},
        }
        vendored = (address for address in _own_files(_VENDOR) if not address.startswith(_CHARTS))
        for address in (*_own_files(_CREW), *vendored, *_verifier_modules()):
            found[address] = _file_of(address).read_bytes()
        return found

    @cached_property
    def listing(self) -> bytes:
        """`/crew/shell.json`."""
        rows = [
            {"path": path, "bytes": len(content), "sha256": sha256(content).hexdigest()}
            for path, content in sorted(self.files.items())
        ]
        return json.dumps({"format": "minglou-shell/1", "files": rows}, separators=(",", ":")).encode()

    @cached_property
    def digest(self) -> str:
        """The version's name."""
        return sha256(self.listing).hexdigest()

    @cached_property
    def page(self) -> bytes:
        """The one page. It asks at once for all that its first screen imports, not for one import after the other."""
        modules = sorted(_imported(_FIRST_SCREEN).union(_FIRST_SCREEN))
        links = "\n".join(f'<link rel="modulepreload" href="{address}">' for address in modules)
        template = (TEMPLATE_DIRECTORY / "crew.html").read_text(encoding="utf-8")
        return template.replace("{{ preloads }}", links).encode()

    @cached_property
    def manifest(self) -> bytes:
        """What a phone's home screen asks for."""
        return json.dumps(_MANIFEST, ensure_ascii=False).encode()

    @cached_property
    def worker(self) -> bytes:
        """The service worker of this version."""
        script = (STATIC_DIRECTORY / "crew-worker.js").read_text(encoding="utf-8")
        assert _SHELL_LINE in script, "the worker names its version"
        return script.replace(_SHELL_LINE, f'const SHELL = "{self.digest}";').encode()


def routes(_pages: Pages) -> APIRouter:
    """The router of the app's files."""
    router, shell = APIRouter(include_in_schema=False), Shell()
    packs = {sha256(pack_bytes(name)).hexdigest(): pack_bytes(name) for name in NAMES}

    @router.get(APP)
    async def page() -> Response:
        return _kept_briefly(shell.page, "text/html; charset=utf-8")

    @router.get("/crew/shell.json")
    async def listing() -> Response:
        return _kept_briefly(shell.listing, "application/json")

    @router.get("/crew.webmanifest")
    async def manifest() -> Response:
        return _kept_briefly(shell.manifest, "application/manifest+json")

    @router.get("/crew-worker.js")
    async def worker() -> Response:
        return _kept_briefly(shell.worker, "text/javascript; charset=utf-8")

    @router.get("/crew/packs/{digest}")
    async def pack(request: Request, digest: str) -> Response:
        content = packs.get(digest.removesuffix(".json"))
        if content is None:
            raise HTTPException(404)
        headers = {"cache-control": "public, max-age=31536000, immutable"}
        return Response(content, media_type="application/json", headers=headers)

    return router


def pack_address(digest: bytes) -> str:
    """Where a phone fetches a checklist."""
    return f"/crew/packs/{digest.hex()}.json"


def _kept_briefly(content: bytes, media_type: str) -> Response:
    """Asked for again every time: what is old here would name files that are gone."""
    return Response(content, media_type=media_type, headers={"cache-control": "no-cache"})


def _own_files(folder: str) -> Iterator[str]:
    for path in sorted(_FOLDERS[folder].rglob("*")):
        if path.suffix in _KEPT_SUFFIXES:
            yield folder + path.relative_to(_FOLDERS[folder]).as_posix()


def _imported(addresses: Iterable[str]) -> frozenset[str]:
    """Every module that these import, and what these import; not what is asked for later, when it is needed."""
    found: set[str] = set()
    waiting = list(addresses)
    while waiting:
        address = waiting.pop()
        for name in _IMPORT.findall(_file_of(address).read_text(encoding="utf-8")):
            target = _resolved(address, name)
            if target not in found:
                found.add(target)
                waiting.append(target)
    return frozenset(found)


def _verifier_modules() -> list[str]:
    own = [address for address in _own_files(_CREW) if address.endswith(".js")]
    return sorted(address for address in _imported(own) if address.startswith(_VERIFIER))


def _resolved(address: str, name: str) -> str:
    parts = address.split("/")[:-1]
    for part in name.split("/"):
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _file_of(address: str) -> Path:
    for folder, directory in _FOLDERS.items():
        if address.startswith(folder):
            return directory / address.removeprefix(folder)
    raise AssertionError(f"{address} is no file of the app")
