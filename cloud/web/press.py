"""The press: a page of HTML and the files that it carries become a PDF/A-3, the same bytes each time.

A program of its own, which the pages start for one bill (`cloud.web.paper`): the library that sets the type holds the
interpreter for a second, wants libraries of the system that not every server has, and keeps much memory. It imports
nothing of ours. The job comes as JSON on standard input, the PDF leaves on standard output.

What is attached is not packed and the file has a plain table of its objects, which PDF/A-3 permits (ISO 19005-3, 6.1.7
and ISO 32000-1, 7.5.4): a page in a browser finds the attachments with two hundred lines (contracts/js/pdf.js).
"""

import json
import sys
from collections.abc import Iterator
from datetime import datetime
from types import ModuleType
from typing import Any

MISSING = 3
"""Exit code where a library or a font of the system is missing; standard error says which."""
VARIANT = "pdf/a-3a"


def main() -> int:
    """Print one job."""
    _leave_out_hyphens()
    try:
        import weasyprint
    except (ImportError, OSError) as error:  # OSError: the library is there, and what it stands on is not
        sys.stderr.write(f"{error}\n")
        return MISSING
    job = json.load(sys.stdin.buffer)
    at = datetime.fromisoformat(job["created"])
    carried = [
        weasyprint.Attachment(
            string=one["text"], name=one["name"], description=one["description"], relationship=one["relationship"],
            created=at, modified=at,
        )
        for one in job["attachments"]
    ]  # fmt: skip
    # A bill loads nothing from anywhere: its one picture stands in the page itself.
    page = weasyprint.HTML(string=job["html"], url_fetcher=weasyprint.URLFetcher(allowed_protocols=["data"]))
    fonts: set[str] = set()

    def finish(_document: Any, pdf: Any) -> None:
        _pack(pdf)
        fonts.update(_fonts(pdf))

    printed = page.write_pdf(
        pdf_variant=VARIANT, pdf_identifier=job["identifier"].encode(), attachments=carried, uncompressed_pdf=True,
        finisher=finish,
    )  # fmt: skip
    if not any(job["font"] in name for name in fonts):
        sys.stderr.write(f"no font whose name has {job['font']} in it\n")
        return MISSING
    sys.stdout.buffer.write(printed)
    return 0


def _leave_out_hyphens() -> None:
    """Bills hyphenate nothing, and Pyphen, which would, is under the GPL: it is not locked, and here never imported."""
    nothing = ModuleType("pyphen")
    nothing.language_fallback = lambda _language: None  # type: ignore[attr-defined]
    sys.modules["pyphen"] = nothing


def _pack(pdf: Any) -> None:
    """Pack what only readers of PDF read, leave what is attached, and the metadata, as they are."""
    for one in pdf.objects:
        if hasattr(one, "compress"):
            one.compress = one.extra.get("Type") not in ("/EmbeddedFile", "/Metadata")
    pdf.catalog["AF"] = type(pdf.catalog["AF"])(dict.fromkeys(pdf.catalog["AF"]))  # the library names each file twice


def _fonts(pdf: Any) -> Iterator[str]:
    for one in pdf.objects:
        if isinstance(one, dict) and "FontName" in one:
            yield str(one["FontName"])


if __name__ == "__main__":
    sys.exit(main())
