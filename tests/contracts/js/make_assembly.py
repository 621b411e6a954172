"""Write the assembly's vectors for the browser: `python -m tests.contracts.js.make_assembly`.

Made by `contracts.quorum`, `contracts.roll` and `contracts.person`, which the contracts are tested against.
"""

import json
import random
from hashlib import sha256
from pathlib import Path
from typing import Any

from contracts import p256
from contracts.ballot import Opening
from contracts.person import Purpose, key_id_of, person_digest
from contracts.quorum import Choice, Tally, Weight, following, passes
from contracts.roll import Roll, UnitShare

PATH = Path(__file__).with_name("assembly.json")
BALLOTS = "0x" + "ba" * 20
RESOLUTION = sha256(b"resolution").digest()
CLOSES_AT = 1_795_800_000


def assembly_vectors() -> dict[str, Any]:
    """Random tallies and rolls from a fixed seed, edges by hand, and what a voter signs."""
    rng = random.Random(278)
    return {"counts": [_count(*each) for each in _counts(rng)], "rolls": _rolls(rng), "ballot": _ballot()}


def _counts(rng: random.Random) -> list[tuple[int, Weight, Tally]]:
    def tally(heads: int) -> Tally:
        said = [rng.randint(0, heads // 2) for _ in range(3)]
        return Tally(
            in_favour=Weight(said[0] * rng.randint(90, 110), said[0]),
            against=Weight(said[1] * rng.randint(90, 110), said[1]),
            abstained=Weight(said[2] * rng.randint(0, 110), said[2]),
        )

    counts = []
    while len(counts) < 120:
        heads = rng.randint(1, 60)
        roll, said = Weight(heads * 100, heads), tally(heads)
        part = said.participants
        if part.heads <= roll.heads and part.area_centi_m2 <= roll.area_centi_m2:
            counts.append((rng.randint(1, 9), roll, said))
    # Exactly two thirds, one half and three quarters.
    for in_favour, against, matter in ((4, 2, 4), (3, 3, 4), (6, 2, 8), (4, 2, 8), (5, 0, 1), (0, 0, 1)):
        said = Tally(in_favour=Weight(in_favour * 100, in_favour), against=Weight(against * 100, against))
        counts.append((matter, Weight(900, 9), said))
    return counts


def _count(matter: int, roll: Weight, said: Tally) -> dict[str, Any]:
    followed = following(roll, said)
    return {
        "matter": matter, "roll": _weight(roll), "tally": str(said.word()), "passes": passes(matter, roll, said),
        "followed": str(followed.word()), "passes_following": passes(matter, roll, followed),
    }  # fmt: skip


def _weight(weight: Weight) -> dict[str, str]:
    return {"area": str(weight.area_centi_m2), "heads": str(weight.heads)}


def _rolls(rng: random.Random) -> list[dict[str, Any]]:
    rolls = []
    for heads in (1, 2, 3, 7, 64, 65, 130):
        units = [
            UnitShare(index=place, area_centi_m2=rng.randint(1, 20_000), head=min(place, heads - 1), building=place % 3)
            for place in range(heads + 2)
        ]
        for building in (None, 1):
            root = Roll.of_units(units, head_count=heads, building=building).root
            rolls.append({
                "units": [[unit.index, str(unit.area_centi_m2), unit.head, unit.building] for unit in units],
                "head_count": heads, "building": building, "root": root.hash.hex(), "sums": str(root.sums),
            })  # fmt: skip
    return rolls


def _ballot() -> dict[str, Any]:
    public = p256.public_bytes(p256.key_from_secret(502))
    digests = {
        purpose.value[0]: person_digest(
            chain_id=31337, contract=BALLOTS, purpose=purpose, key_id=key_id_of(public), nonce=3, deadline=CLOSES_AT,
            body_digest=purpose.body_digest(RESOLUTION, 2),
        ).hex()
        for purpose in (Purpose.VOTE, Purpose.PROXY)
    }  # fmt: skip
    opening = Opening(key_id=key_id_of(public), choice=Choice.AGAINST, salt=sha256(b"salt").digest())
    return {
        "contract": BALLOTS, "public": public.hex(), "resolution": RESOLUTION.hex(), "sequence": "3",
        "deadline": str(CLOSES_AT), "says": 2, "digests": digests, "salt": opening.salt.hex(),
        "commitment": opening.commitment(RESOLUTION).hex(),
    }  # fmt: skip


def written() -> str:
    """The file's text."""
    return json.dumps(assembly_vectors(), ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(written())
