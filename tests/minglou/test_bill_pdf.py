"""`minglou verify bill.pdf`: all that a bill's PDF carries, checked from it alone, and clear words for other PDFs."""

import io
import json
import sys
from pathlib import Path

import pytest
from pypdf import PdfReader, PdfWriter

import minglou
from contracts.bill_papers import PAPERS_BYTES_MAX, BillPapersError, format_bill_papers, papers_of, parse_bill_papers
from contracts.trust import format_trust
from minglou.bill_pdf import PDF_BYTES_MAX, PdfError, read_bill_pdf
from tests.cloud.web.paper_world import AMOUNT, READING, exchanged, printed
from tests.vectors.deployment import TRUST


@pytest.fixture
def pdf() -> bytes:
    return printed("zh")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "trust.json").write_bytes(format_trust(TRUST))
    return tmp_path


def verify(folder: Path, content: bytes, *words: str) -> int:
    (folder / "bill.pdf").write_bytes(content)
    return minglou.main(["verify", str(folder / "bill.pdf"), *words])


def verified(folder: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Outcomes by `part.check`, and the state."""
    verify(folder, content, "--json", "--trust", str(folder / "trust.json"))
    told = json.loads(capsys.readouterr().out)
    return {**{one["name"]: one["outcome"] for one in told["checks"]}, "state": told["state"]}


def saved_anew(pdf: bytes, password: str = "") -> bytes:
    """The same file as another program writes it: packed, its objects in other places."""
    writer, out = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf))), io.BytesIO()
    if password:
        writer.encrypt(password, algorithm="AES-256")
    writer.write(out)
    return out.getvalue()


def test_a_good_pdf_passes_what_needs_no_chain(folder: Path, pdf: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    found = verified(folder, pdf, capsys)
    assert found.pop("state") == "drafted"
    assert set(found.values()) == {"passed", "not_checked"}
    for name in (
        "bill.tree",
        "bill.contract",
        "papers.papers",
        "reading0.origin",
        "reading1.witnesses",
        "line0.readings",
    ):
        assert found[name] == "passed", name
    assert len(found) == 6 + 1 + 13 + 13 + 2 + 2


def test_a_pdf_that_was_saved_anew_is_read_all_the_same(
    folder: Path, pdf: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verified(folder, saved_anew(pdf), capsys) == verified(folder, pdf, capsys)


@pytest.mark.parametrize(
    ("change", "names"), [(AMOUNT, {"bill.amounts", "bill.tree"}), (READING, {"reading1.inclusion"})]
)
def test_what_was_exchanged_is_named(
    folder: Path, pdf: bytes, capsys: pytest.CaptureFixture[str], change: tuple[bytes, bytes], names: set[str]
) -> None:
    assert verify(folder, exchanged(pdf, *change)) == 1
    told = capsys.readouterr().out
    assert {
        name.rstrip(",") for name in told.splitlines()[-1].partition("BROKEN at ")[2].split("(")[0].split()
    } == names


def test_the_trust_file_in_the_pdf_is_not_taken(folder: Path, pdf: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(folder, pdf) == 3
    told = capsys.readouterr().out
    assert "origin unknown" in told
    assert "the PDF's own trust file is not taken" in told


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"%PDF-1.7\nhello", "cannot be read"),
        (b"%PDF-1.7\n" + bytes(PDF_BYTES_MAX), "at most"),
        (b"%PDF-", "cannot be read"),
    ],
)
def test_other_pdfs_exit_2_and_say_why(
    folder: Path, capsys: pytest.CaptureFixture[str], content: bytes, says: str
) -> None:
    assert verify(folder, content) == 2
    assert says in capsys.readouterr().err


def test_an_encrypted_pdf_and_one_without_a_bill_say_so(
    folder: Path, pdf: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(folder, saved_anew(pdf, "secret")) == 2
    assert "encrypted" in capsys.readouterr().err
    writer, out = PdfWriter(), io.BytesIO()
    writer.add_blank_page(100, 100)
    writer.add_attachment("bill.json", b"{}")
    writer.write(out)
    assert verify(folder, out.getvalue()) == 2
    assert "carries no readings.json" in capsys.readouterr().err


def test_two_attachments_of_one_name_are_refused(pdf: bytes) -> None:
    writer, out = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf))), io.BytesIO()
    writer.add_attachment("bill.json", b"{}")
    writer.write(out)
    with pytest.raises(PdfError, match="two of one name"):
        read_bill_pdf(out.getvalue())


def test_a_pdf_that_is_cut_or_damaged_anywhere_raises_one_error_alone(pdf: bytes) -> None:
    small = saved_anew(pdf)[-60_000:]  # the end, where attachments and the table of objects stand
    for damaged in (pdf[: len(pdf) // 3], pdf[1000:], b"%PDF-1.7\n" + small):
        with pytest.raises(PdfError):
            read_bill_pdf(damaged)
    table = pdf.rindex(b"xref\n0 ", 0, len(pdf) - 30)
    for at in range(table, len(pdf), 97):
        try:
            read_bill_pdf(pdf[:at] + bytes([pdf[at] ^ 0x15]) + pdf[at + 1 :])
        except PdfError:
            continue


def test_without_the_library_the_extra_is_named(
    folder: Path, pdf: bytes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pypdf", None)
    assert verify(folder, pdf) == 2
    assert "pip install 'minglou[pdf]'" in capsys.readouterr().err


def test_papers_go_back_and_forth_with_each_file_once() -> None:
    papers = papers_of([((b"one", b"two"), ""), ((b"two",), ""), ((), "")])
    assert papers.files == (b"one", b"two")
    assert [line.files for line in papers.lines] == [(0, 1), (1,), ()]
    assert parse_bill_papers(format_bill_papers(papers)) == papers


@pytest.mark.parametrize(
    "change",
    [
        {"format": "minglou-bill-papers/2"}, {"files": [1]}, {"files": ["a", "b"]},
        {"lines": [{"files": [0, 1], "key": ""}]},
        {"lines": [{"files": [True], "key": ""}]}, {"lines": [{"files": [0, 0], "key": ""}]}, {"more": 1},
        {"lines": [{"files": [0], "key": "["}]}, {"lines": [{"files": [0], "key": ""}] * 25}, {"files": "a"},
    ],
)  # fmt: skip
def test_damaged_papers_are_refused(change: dict[str, object]) -> None:
    good = {"format": "minglou-bill-papers/1", "files": ["a"], "lines": [{"files": [0], "key": ""}]}
    assert parse_bill_papers(json.dumps(good).encode()).files == (b"a",)
    with pytest.raises(BillPapersError):
        parse_bill_papers(json.dumps({**good, **change}).encode())


def test_more_readings_than_a_file_holds_are_refused() -> None:
    with pytest.raises(BillPapersError, match="hold fewer"):
        format_bill_papers(papers_of([([b"%d" % at for at in range(300)], "")]))
    with pytest.raises(BillPapersError, match="limit"):
        parse_bill_papers(b" " * (PAPERS_BYTES_MAX + 1))
