"""A bill's PDF on the command line: the attachments are taken out by pypdf, and each is checked as the file that it is.

More PDFs than a page in a browser reads: one that another program saved anew may still bring its attachments.
"""

import logging
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from contracts.errors import ContractsError

if TYPE_CHECKING:
    from pypdf import PdfReader

__all__ = ["PDF_BYTES_MAX", "BillPdf", "PdfError", "is_pdf", "read_bill_pdf"]

PDF_BYTES_MAX = 8 << 20
_NAMES_MAX = 16
# What the library raises of a file that is no PDF: its own errors beside those of the language, some of them unmeant.
_UNREADABLE = (ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError, zlib.error)


class PdfError(ContractsError):
    """A PDF that carries no bill, or cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BillPdf:
    """What a PDF carries: nothing of it is verified."""

    bill: bytes  # `minglou-bill/1`
    readings: bytes  # `minglou-bill-papers/1`


def is_pdf(encoded: bytes) -> bool:
    """Whether a file says that it is one."""
    return encoded.startswith(b"%PDF-")


def read_bill_pdf(encoded: bytes) -> BillPdf:
    """The attachments of a bill's PDF.

    Raises:
        PdfError: too large, encrypted, damaged, or without a bill; the message says what to do.
        ModuleNotFoundError: pypdf is not installed.
    """
    # Most files to be verified are no PDFs, and need neither pypdf nor ABI encoding.
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    from contracts.bill_papers import BILL_NAME, READINGS_NAME

    if len(encoded) > PDF_BYTES_MAX:
        raise PdfError(f"a PDF to be checked has at most {PDF_BYTES_MAX:,} bytes; take the file as it was downloaded")
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # its remarks about a file are no part of the verdict
    try:
        found = _attached(PdfReader(BytesIO(encoded)))
    except PdfError:
        raise
    except (PyPdfError, *_UNREADABLE) as error:
        raise PdfError(
            f"the PDF cannot be read ({type(error).__name__}); take the file as it was downloaded"
        ) from error
    missing = [name for name in (BILL_NAME, READINGS_NAME) if name not in found]
    if missing:
        raise PdfError(f"the PDF carries no {' and no '.join(missing)}; a printed or scanned copy cannot be checked")
    return BillPdf(bill=found[BILL_NAME], readings=found[READINGS_NAME])


def _attached(reader: "PdfReader") -> dict[str, bytes]:
    if reader.is_encrypted:
        raise PdfError("the PDF is encrypted; take the file as it was downloaded")
    found: dict[str, bytes] = {}
    for count, one in enumerate(reader.attachment_list):
        if count == _NAMES_MAX or one.name in found:
            raise PdfError("the PDF carries too many files, or two of one name; take the file as it was downloaded")
        found[one.name] = one.content
        if len(found[one.name]) > PDF_BYTES_MAX:
            raise PdfError(f"the PDF's {one.name} is too large; take the file as it was downloaded")
    return found
