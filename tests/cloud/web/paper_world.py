"""Bills as PDF of the small world: printed once, since each takes a program and seconds."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

from tests.cloud.web.reader import Reader
from tests.cloud.web.site import build
from tests.cloud.web.world import DOOR, OWNER, PERIOD, World

BILL = f"/bills/{DOOR}/{PERIOD}"


@cache
def printed(language: str) -> bytes:
    """The owner's bill, which charges what its readings say, as it is downloaded."""
    with ThreadPoolExecutor(1) as apart:  # a test that holds a browser has a loop already
        return apart.submit(_print, language).result()


def _print(language: str) -> bytes:
    world = World(padded=False)
    owner = Reader(build(world))
    assert owner.post("/signin", json={"token": world.token_of(OWNER)}).status_code == 200
    answer = owner.get(f"{BILL}/bill.pdf", headers={"accept-language": language})
    assert answer.status_code == 200, answer.text
    return answer.content


def exchanged(pdf: bytes, old: bytes, new: bytes) -> bytes:
    """The PDF with some bytes of an attachment exchanged; its table of objects still fits."""
    assert pdf.count(old) == 1 and len(old) == len(new)
    return pdf.replace(old, new)


AMOUNT = (b'"amount": "6588"', b'"amount": "6488"')
READING = (b'\\"value\\":\\"1322456\\"', b'\\"value\\":\\"1322455\\"')
SALT = (b'"salt": "', b'"SALT": "')
"""What is exchanged in the bill's line, in a reading's evidence, and a field's name of the bill."""
