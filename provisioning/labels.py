"""The labels of a site's devices as a sheet to print: A4, a QR code each, with the words and the code that people type.

A label holds nothing but a link, at error level M: what makes a code readable on a dirty wall is large modules, and a
higher level makes them smaller. Codes of the display are not printed; the display shows them itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import segno

from contracts.label import PLACE_OF, Place, label_link, printed
from provisioning.errors import ProvisioningError
from provisioning.names import device_key
from provisioning.site import Device, Site, Title

__all__ = ["Label", "LabelError", "label_sheet", "labels_of"]

_MARGIN_MODULES = 4  # ISO/IEC 18004: what must stay white around a code
_PLACES: Mapping[Place, Title] = {
    Place.CAR: Title(zh="轿厢", en="car"),
    Place.MACHINE_ROOM: Title(zh="机房", en="machine room"),
    Place.HOUSING: Title(zh="设备外壳", en="housing"),
}
_STYLE = """
@page { size: A4; margin: 10mm }
body { margin: 0; font-family: system-ui, "Noto Sans CJK SC", "PingFang SC", sans-serif; color: #000; background: #fff }
main { display: grid; grid-template-columns: 1fr 1fr; gap: 0 }
section { box-sizing: border-box; height: 69mm; padding: 4mm; border: 0.2mm dashed #888; break-inside: avoid;
  display: grid; grid-template-columns: 44mm 1fr; gap: 3mm; align-content: center }
svg { width: 44mm; height: 44mm; shape-rendering: crispEdges }
h2 { margin: 0; font-size: 13pt } p { margin: 1mm 0; font-size: 9pt }
.code { grid-column: 1 / 3; font: 700 15pt ui-monospace, monospace; letter-spacing: 0.5mm }
"""


class LabelError(ProvisioningError):
    """There is nothing to print, or a code that is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One code to stick on."""

    device: Device
    place: Place
    code: str
    number: int  # 1, and from 2 on its spares


def labels_of(site: Site, codes: Mapping[str, Mapping[str, Sequence[str]]], *, only: str | None = None) -> list[Label]:
    """The printed labels of a site, in the order of its devices.

    Args:
        codes: by `building:kind:name` of the device and by place, as the names file holds them.
        only: one device's name; None for all.

    Raises:
        LabelError: no device has a printed label, or not the one that was named.
    """
    found = [
        Label(device=device, place=place, code=code, number=number)
        for device in site.devices
        if only in (None, device.name)
        for place in _PLACES
        for number, code in enumerate(_codes_at(codes.get(device_key(device), {}), place), start=1)
    ]
    if not found:
        which = f"device {only!r}" if only else "no device"
        raise LabelError(f'{which} has a printed label; give it `labels = ["car", …]` in the site file and apply it')
    return found


def _codes_at(places: Mapping[str, Sequence[str]], place: Place) -> Iterator[str]:
    for name, codes in places.items():
        if PLACE_OF.get(name) is place:
            yield from codes


def label_sheet(site: Site, labels: Sequence[Label], *, base: str) -> str:
    """The sheet as one HTML page without script, to be printed at 100 %.

    Args:
        base: `https://HOST`, where the site's public pages are.
    """
    titles = {building.name: building.title for building in site.buildings}
    sections = "\n".join(_section(label, titles[label.device.building], base) for label in labels)
    return (
        f'<!doctype html>\n<html lang="zh-CN"><head><meta charset="utf-8"><title>{escape(site.title.zh)} '
        f"{escape(site.title.en)}</title><style>{_STYLE}</style></head>\n<body><main>\n{sections}\n</main></body></html>\n"
    )


def _section(label: Label, building: Title, base: str) -> str:
    place, title = _PLACES[label.place], label.device.title
    spare = "" if label.number == 1 else f" · 备用 spare {label.number - 1}"
    code = segno.make(label_link(base, label.code), error="m", micro=False, boost_error=False)
    picture = code.svg_inline(border=_MARGIN_MODULES, omitsize=True, svgclass=None, lineclass=None)
    host = base.partition("://")[2]
    return (
        f"<section>{picture}<div>"
        f"<h2>{escape(building.zh)} {escape(title.zh)}</h2><p>{escape(building.en)}, {escape(title.en)}</p>"
        f"<p>{place.zh} {place.en}{spare}</p>"
        f"<p>扫码看这部设备的维保记录；维保人员扫码开始工作。</p>"
        f"<p>Scan for this device's record; crews begin their visit here.</p><p>{escape(host)}</p></div>"
        f'<div class="code">{printed(label.code)}</div></section>'
    )
