"""Random votes and due dates three ways: the contract in an EVM, Python, and the browser's modules under Node.

Bills are compared so in test_whole_compounds.py.
"""

import os
from pathlib import Path
from random import Random
from typing import Any

import pytest
from eth_utils.crypto import keccak

from contracts.abi import Function, encode_arguments
from contracts.calls import service_agreements
from contracts.due import CLASSES, LEVELS, DoneDay, Terms, due_on, fee, overdue_days
from contracts.quorum import Tally, Weight, following, passes
from contracts.visit import VisitClass
from contracts.vyper.compile import SOURCES, compile_source
from tests.contracts.browser import asked
from tests.contracts.js.make_due import random_terms
from tests.contracts.vyper.chain import Chain
from tests.contracts.vyper.service import Service, agreement_name, send
from tests.contracts.vyper.site import Site

CASES = 60 * int(os.environ.get("MINGLOU_SEEDS", "2"))
TYPES = ("uint256", "uint256", "uint256")
# Assembly.vy itself, with a door to what it decides by.
DOOR = """

@external
@view
def decided(matter: uint256, roll: uint256, tally: uint256) -> (bool, bool):
    return self._passes(matter, roll, tally), self._passes(matter, roll, self._following(roll, tally))
"""


@pytest.fixture(scope="module")
def opened(chain: Chain, enrolled: Site, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of the Assembly with the door."""
    folder = tmp_path_factory.mktemp("opened")
    (folder / "OpenedAssembly.vy").write_text((SOURCES / "Assembly.vy").read_text() + DOOR)
    code = bytes.fromhex(str(compile_source("OpenedAssembly", folder=folder)["bytecode"])[2:])
    return chain.deploy(chain.accounts[0], code + encode_arguments("", ("address",), (enrolled.registry,)))


def test_random_votes_are_decided_alike_by_contract_python_and_browser(chain: Chain, opened: str, node: Path) -> None:
    rng = Random(int(os.environ.get("MINGLOU_SEED_BASE", "278")))
    cases = [random_count(rng) for _ in range(CASES)]
    function = Function("decided", keccak(text=f"decided({','.join(TYPES)})")[:4], TYPES, ("bool", "bool"))
    calls = [
        function.call(opened, matter, roll.area_centi_m2 << 64 | roll.heads, said.word())
        for matter, roll, said in cases
    ]
    by_contract = [function.decode(result) for result in chain.views(calls)]
    by_python = [(passes(*case), passes(case[0], case[1], following(case[1], case[2]))) for case in cases]
    by_browser = asked(node, "quorum", [case_json(*case) for case in cases])
    assert by_contract == by_python
    assert [(one["passes"], one["following"]) for one in by_browser] == by_python
    assert {(False, False), (True, True), (False, True)} <= set(by_python)


def random_count(rng: Random) -> tuple[int, Weight, Tally]:
    """A roll and what was said: often exactly at two thirds, one half or three quarters, or one beside it."""
    matter, unit = rng.randint(1, 9), rng.choice((1, 100, rng.randrange(1, 10**6)))
    heads = 12 * rng.randint(1, 400)
    part = min(heads, max(0, heads * 2 // 3 + rng.choice((-1, 0, 0, 1, rng.randint(0, heads // 3)))))
    in_favour = min(part, max(0, part * rng.choice((2, 3, 4)) // 4 + rng.choice((-1, 0, 1))))
    against = rng.randint(0, part - in_favour)
    lean = rng.choice((0, 0, 1, -1))  # by area it may be one more or less than by heads
    said = Tally(
        in_favour=Weight(max(0, in_favour * unit + lean), in_favour),
        against=Weight(against * unit, against),
        abstained=Weight((part - in_favour - against) * unit, part - in_favour - against),
    )
    return matter, Weight(max(heads * unit, said.participants.area_centi_m2), heads), said


def case_json(matter: int, roll: Weight, said: Tally) -> dict[str, Any]:
    return {"matter": matter, "area": str(roll.area_centi_m2), "heads": str(roll.heads), "tally": str(said.word())}


def test_overdue_days_and_fees_are_pythons_on_random_cases(service: Service, node: Path) -> None:
    """And the browser module's, which owners' pages compute with."""
    rng = Random(84)
    cases, expected = [], []
    for case in range(5):
        plan = bytes([case + 1]) * 32
        names = ("interval_days", "grace_days", "fees", "factors", "penalty")
        drawn = random_terms(rng, service.today + 1)
        changes = {each: getattr(drawn, each) for each in names} | {"done_on": drawn.done_on, "level": case % 3}
        terms = service.start(plan=plan, starts_on=drawn.starts_on, ends_on=drawn.ends_on, **changes)
        done = []
        for day, level in ((day, rng.randrange(4)) for day in sorted(rng.sample(range(60), 4))):
            service.go_to(terms.starts_on + day)
            visit = service.visit(VisitClass(rng.randrange(1, 5)), plan=plan)
            service.record(terms, visit, level=level)
            if terms.is_done(level=level, two_people=False, countersigned=False):
                done.append(DoneDay(service.today, visit.visit_class))
                worth = fee(terms, visit.visit_class, level)
                if worth:
                    send(
                        service,
                        service.account,
                        service_agreements.pay_fees,
                        agreement=agreement_name(terms),
                        days=[service.today],
                    )
                    kept = service.kept(terms, service.today)
                    assert kept is not None and kept.paid == worth
        from_day = terms.starts_on + rng.randrange(40)
        through_day = from_day + 63
        late = [overdue_days(terms, done, each, from_day=from_day, through_day=through_day) for each in CLASSES]
        for each in CLASSES:
            call = service_agreements.overdue_days(
                service.address,
                agreement=agreement_name(terms),
                visit_class=each,
                from_day=from_day,
                through_day=through_day,
            )
            assert service_agreements.parse_overdue_days(service.chain.view(call)) == late[each - 1]
        cases.append(_case(terms, done, from_day, through_day))
        expected.append(
            {
                "dueOn": [due_on(terms, done, each, today=through_day) for each in CLASSES],
                "overdue": late,
                "fees": [[str(fee(terms, each, level)) for level in range(LEVELS)] for each in CLASSES],
            }
        )
    assert asked(node, "due", cases) == expected


def _case(terms: Terms, done: list[DoneDay], from_day: int, through_day: int) -> dict[str, Any]:
    """As the browser's module takes it."""
    return {
        "terms": {
            "intervalDays": terms.interval_days,
            "doneOn": terms.done_on,
            "graceDays": terms.grace_days,
            "fees": [str(amount) for amount in terms.fees],
            "factors": [str(factor) for factor in terms.factors],
        },
        "done": [{"day": each.day, "visitClass": int(each.visit_class)} for each in done],
        "from": from_day,
        "through": through_day,
    }
