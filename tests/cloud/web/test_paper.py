"""A bill as PDF/A-3: what it carries, for whom it is printed, and what is said where it cannot be.

veraPDF, which would judge every clause of ISO 19005-3, is not here: what follows are the clauses that bills rest on.
"""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

import cloud.web.paper
from contracts.bill_papers import parse_bill_papers
from contracts.evidence import format_evidence
from contracts.trust import parse_trust
from tests.cloud.web.conftest import SignIn
from tests.cloud.web.paper_world import BILL, printed
from tests.cloud.web.reader import Reader
from tests.cloud.web.world import CLOSING_INDEX, NEIGHBOUR, OPENING_INDEX, OWNER, World

EN = {"accept-language": "en"}


def root_of(pdf: bytes) -> Any:
    return PdfReader(io.BytesIO(pdf)).trailer["/Root"]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_bill_says_that_it_is_pdf_a_3_and_brings_its_colours_and_fonts(language: str) -> None:
    pdf = printed(language)
    root = root_of(pdf)
    metadata = root["/Metadata"].get_data().decode()
    assert 'pdfaid:part="3"' in metadata
    assert 'pdfaid:conformance="A"' in metadata
    (intent,) = root["/OutputIntents"]
    assert intent["/S"] == "/GTS_PDFA1"
    assert len(intent["/DestOutputProfile"].get_data()) > 1000
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"].startswith(language)
    reader = PdfReader(io.BytesIO(pdf))
    fonts = [font.get_object() for page in reader.pages for font in page["/Resources"]["/Font"].values()]
    for font in fonts:
        (inner,) = font["/DescendantFonts"]
        assert {"/FontFile2", "/FontFile3"} & set(inner["/FontDescriptor"]), font
        assert "/ToUnicode" in font
    assert fonts
    assert b"/JavaScript" not in pdf
    figures = re.findall(rb"/S /Figure(.*)", pdf)
    assert figures and all(b"/Alt" in one for one in figures), "who cannot see the code is told what it is"
    assert reader.trailer.get("/Encrypt") is None


def test_it_carries_the_bills_file_its_readings_and_the_trust_file(world: World, sign_in: SignIn) -> None:
    world.padded = False
    pdf = printed("zh")
    attached = {one.name: one.content for one in PdfReader(io.BytesIO(pdf)).attachment_list}
    owner = sign_in(OWNER)
    assert attached["bill.json"] == owner.get(f"{BILL}/bill.json").content
    assert attached["trust.json"] == owner.get("/trust.json").content
    papers = parse_bill_papers(attached["readings.json"])
    assert papers.files == tuple(
        format_evidence(world.deployment.evidence(index)) for index in (OPENING_INDEX, CLOSING_INDEX)
    )
    assert [line.files for line in papers.lines] == [(0, 1), ()]


def test_each_attachment_says_how_it_belongs_to_the_page_and_is_not_packed() -> None:
    pdf = printed("zh")
    files = [one.get_object() for one in root_of(pdf)["/AF"]]
    assert {one["/UF"]: one["/AFRelationship"] for one in files} == {
        "bill.json": "/Data", "readings.json": "/Supplement", "trust.json": "/Supplement",
    }  # fmt: skip
    for one in files:
        stream = one["/EF"]["/F"]
        assert (stream["/Subtype"], "/Filter" in stream) == ("/application/json", False)
        assert {"/ModDate", "/Size", "/CheckSum"} <= set(stream["/Params"])
        assert one["/Desc"]


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("zh", ("7幢 501室", "电费", "¥74.05", "1,322.456 度", "自己核对")),
        ("en", ("Building 7, flat 501", "Electricity", "¥74.05", "1,322.456 kWh", "Check it yourself")),
    ],
)
def test_the_page_can_be_read_out_and_names_the_short_form_of_the_trust_file(
    world: World, stranger: Reader, language: str, words: tuple[str, ...]
) -> None:
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(printed(language))).pages)
    for word in words:
        assert word in text
    assert parse_trust(stranger.get("/trust.json").content).fingerprint() in text


def test_the_same_bill_is_the_same_bytes(world: World, sign_in: SignIn) -> None:
    world.padded = False
    again = sign_in(OWNER).get(f"{BILL}/bill.pdf", headers={"accept-language": "zh"})
    assert again.content == printed("zh")
    assert again.headers["content-type"] == "application/pdf"
    assert again.headers["cache-control"] == "no-store"
    assert again.headers["content-disposition"].startswith("attachment; ")


def test_anothers_bill_is_not_printed(sign_in: SignIn, stranger: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud.web.paper, "_PROGRAM", Path("/nothing"))
    theirs = sign_in(NEIGHBOUR).get(f"{BILL}/bill.pdf")
    assert theirs.status_code == 404
    assert theirs.headers["content-type"].startswith("text/html")
    assert stranger.get(f"{BILL}/bill.pdf").status_code == 401


def test_a_server_without_the_libraries_says_what_to_install(
    sign_in: SignIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "press.py"
    program.write_text(
        "import sys; sys.modules['weasyprint'] = None\n"  # as if it were not installed
        f"source = open({str(cloud.web.paper._PROGRAM)!r}).read()\n"
        "exec(compile(source, 'press.py', 'exec'))\n"
    )
    monkeypatch.setattr(cloud.web.paper, "_PROGRAM", program)
    owner = sign_in(OWNER)
    answer = owner.get(f"{BILL}/bill.pdf", headers=EN)
    assert answer.status_code == 503
    for named in ("pip install minglou[cloud]", "libpango-1.0-0", "fonts-noto-cjk"):
        assert named in answer.text
    assert owner.get(BILL).status_code == 200


def test_no_more_than_a_few_wait_for_the_press(sign_in: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(self: Any, *_: Any, **__: Any) -> bytes:
        raise cloud.web.paper.PressBusy

    monkeypatch.setattr(cloud.web.paper.Press, "print", full)
    answer = sign_in(OWNER).get(f"{BILL}/bill.pdf", headers=EN)
    assert answer.status_code == 503
    assert "Try again in a minute" in answer.text


def test_after_a_dispute_both_totals_are_printed_for_the_attached_bill_is_as_posted(
    world: World, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    async def keep(self: Any, html: str, *_: Any, **__: Any) -> bytes:
        said.append(html)
        return b"%PDF-"

    monkeypatch.setattr(cloud.web.paper.Press, "print", keep)
    owner = sign_in(OWNER)
    assert owner.get(f"{BILL}/bill.pdf", headers=EN).status_code == 200
    assert "the attached bill has it" not in said[0]
    body = {"nonce": "1", "deadline": "2", "digest": "00" * 32, "signature": "00" * 64, "public": "00" * 64}
    assert owner.post(f"{BILL}/lines/0/dispute", json=body).status_code == 202
    world.settle()
    assert owner.get(f"{BILL}/bill.pdf", headers=EN).status_code == 200
    for words in ('<p class="big">¥74.05</p>', "<s>¥87.40</s>", "as the attached bill has it: ¥95.57"):
        assert words in said[1]


def test_the_bills_page_offers_it_and_loads_nothing_for_it(sign_in: SignIn) -> None:
    page = sign_in(OWNER).get(BILL, headers=EN).text
    assert f'href="{BILL}/bill.pdf"' in page
    assert "pdf.js" not in page
