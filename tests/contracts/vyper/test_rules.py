"""Static rules over the annotated syntax tree of every contract; `Careless` shows that each sees what it should.

A function that asks for no role and no signature is open to anyone on purpose, or it is a hole: each stands in OPEN
with the reason why it cannot hurt, and says *Anyone* in its own documentation.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from vyper import ast as vy_ast

from contracts.vyper.compile import CONTRACTS
from tests.contracts.vyper.rules import (
    Deeds,
    deeds_of,
    external_functions,
    loops,
    loose_signature_checks,
    refusals,
    tree_of,
)
from tests.contracts.vyper.test_sources import FLOORS

TESTS = Path(__file__).parents[1]
ROUNDS_MAX = 4096
SELF_PAID = "moves only money that the caller brings"
PROVEN = "moves only by a gateway's entry that is proven against its accepted head"
DECIDED = "carries out a decided resolution, whose payload names every value"
CLOCK = "only states what the clock and the state already say"
OPEN = {
    "Registry.enact": "both parties agreed and the delay has passed",
    "UsageFees.post_bond": SELF_PAID,
    "UsageFees.top_up": SELF_PAID,
    "UsageFees.pay": SELF_PAID,
    "UsageFees.debit": "bills are leaves of the closed period, amounts capped by the owner's mandate",
    "UsageFees.claim": "pays from the bond what the unit has already won",
    "UsageFees.close_account": "pays out to whom the owner's signature named, once the last bill is paid",
    "Challenges.answer": PROVEN,
    "Challenges.show": "meets a demand with the bill that the closed period holds",
    "Challenges.correct_sum": "compares a bill with its own lines",
    "Challenges.correct_double": "compares two lines of one bill",
    "Challenges.flag_silence": "compares the age of a gateway's accepted head with the clock",
    "Challenges.hear": PROVEN,
    "Challenges.clear_silence": "compares what a log was shown to reach with the period's end",
    "Challenges.correct_note": "compares a bill's credit line with the notes that were given",
    "Challenges.reverse": CLOCK,
    "Token.transfer": "moves the caller's own tokens",
    "Token.transferFrom": "moves what its owner allowed the caller",
    "Token.approve": "allows the use of the caller's own tokens",
    "ReserveFund.enter": "copies the roll's next units, in its order",
    "ReserveFund.deposit": SELF_PAID,
    "ReserveFund.credit": SELF_PAID,
    "ReserveFund.credit_surplus": "gives the site what nobody else owns",
    "ReserveFund.open_budget": DECIDED,
    "ReserveFund.move_income": DECIDED,
    "ReserveFund.raise_fund": DECIDED,
    "ReserveFund.ratify": DECIDED,
    "ReserveFund.repay": SELF_PAID,
    "ReserveFund.flag_overdue": CLOCK,
    "ReserveFund.notify_top_up": CLOCK,
    "Counterevidence.report_silence": PROVEN,
    "Counterevidence.report_life": PROVEN,
    "ServiceAgreements.add_budget": SELF_PAID,
    "ServiceAgreements.add_deposit": SELF_PAID,
    "ServiceAgreements.pay_fees": "pays the agreed firm what recorded visits earned",
    "ServiceAgreements.close": CLOCK,
    "ServiceAgreements.claim_overdue": CLOCK,
    "ServiceAgreements.count_claim": CLOCK,
    "WorkOrders.report_by_machine": PROVEN,
    "WorkOrders.judge_by_machine": PROVEN,
    "WorkOrders.lapse": CLOCK,
    "WorkOrders.release": CLOCK,
    "WorkOrders.escalate": CLOCK,
    "Resolutions.convene_by_owners": "a fifth of the heads signed for it, counted by their support",
    "Resolutions.show": "publishes leaves that hash to the roll's root",
    "Resolutions.refute": "compares a leaf of the roll with the Roll's own state",
    "Ballots.reveal": "opens what an owner's signed ballot committed to",
    "Assembly.count": "adds up ballots that are already recorded, by the roll's leaves",
}


@cache
def functions_of(contract: str) -> dict[str, Any]:
    """External functions that can change something, by `Contract.function`."""
    found = {}
    for function in external_functions(tree_of(contract)):
        if not function.is_constructor and function.mutability.value not in ("view", "pure"):
            found[f"{contract}.{function.name}"] = function
    return found


@cache
def deeds_in(contract: str) -> dict[str, Deeds]:
    """What each of those functions does; walked once a run."""
    return {name: deeds_of(function) for name, function in functions_of(contract).items()}


@pytest.mark.parametrize("contract", CONTRACTS)
def test_nothing_is_written_after_foreign_code_may_have_run(contract: str) -> None:
    for name, deeds in deeds_in(contract).items():
        assert not deeds.writes_after_call, name


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_change_of_state_is_told_by_an_event(contract: str) -> None:
    for name, deeds in deeds_in(contract).items():
        assert deeds.logs or not deeds.writes, f"{name} writes and logs nothing"


@pytest.mark.parametrize("contract", CONTRACTS)
def test_whoever_calls_is_asked_for_a_role_or_a_signature_or_is_nobody_on_purpose(contract: str) -> None:
    for name, deeds in deeds_in(contract).items():
        asked = deeds.asks_sender or deeds.asks_signature
        assert asked or name in OPEN, f"{name} asks for nothing; if that is meant, put it into OPEN with the reason"
        if not asked and contract != "Token":
            assert re.search(r"\b[Aa]nyone\b", notice_of(functions_of(contract)[name])), (
                f"{name}: its notice does not say that anyone may"
            )


@pytest.mark.parametrize("contract", [contract for contract in CONTRACTS if contract != "P256Verifier"])
def test_a_signature_that_does_not_verify_refuses_and_decides_nothing_else(contract: str) -> None:
    """Otherwise whoever relays could starve the verifier of gas and have its silence taken for somebody's no."""
    assert list(loose_signature_checks(tree_of(contract))) == []


def test_the_open_functions_are_all_there_and_still_open() -> None:
    every = {name: deeds for contract in CONTRACTS for name, deeds in deeds_in(contract).items()}
    for name in OPEN:
        if name.partition(".")[0] in CONTRACTS:
            assert name in every, f"{name} is gone; take it out of OPEN"
            assert not every[name].asks_sender and not every[name].asks_signature, (
                f"{name} asks by now; take it out of OPEN"
            )


@pytest.mark.parametrize("contract", CONTRACTS)
def test_views_write_nothing_and_every_loop_has_an_end_in_sight(contract: str) -> None:
    for place, rounds in loops(tree_of(contract)):
        assert rounds is not None and rounds <= ROUNDS_MAX, f"{place}: {rounds} rounds"


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_external_function_is_documented(contract: str) -> None:
    tree = tree_of(contract)
    # What a public variable answers is said where the variable stands.
    getters = {node.target.id for node in tree.get_descendants(vy_ast.VariableDecl) if node.is_public}
    for function in external_functions(tree):
        assert function.name in getters or "@notice" in notice_of(function), (
            f"{contract}.{function.name} has no NatSpec"
        )


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_refusal_names_its_contract_and_is_expected_by_a_test(contract: str) -> None:
    for refusal in refusals(tree_of(contract)):
        where = f"{refusal.path.name}:{refusal.line}"
        assert refusal.reason is not None, f"{where} refuses without a word"
        assert refusal.reason.startswith(f"{snake(refusal.path.stem)}: "), f"{where}: {refusal.reason}"
        is_expected = refusal.reason in texts_of_tests() or refusal.reason in FLOORS
        assert is_expected, f"no test expects {refusal.reason!r}"


# ---- The rules see what they should ---------------------------------------------------------------------------------


@cache
def careless() -> dict[str, Any]:
    tree = tree_of("Careless", Path(__file__).parent)
    return {function.name: function for function in external_functions(tree)}


@pytest.mark.parametrize("name", ["pay_first", "pay_in_a_loop", "call_raw"])
def test_a_write_after_a_call_is_seen(name: str) -> None:
    assert deeds_of(careless()[name]).writes_after_call


@pytest.mark.parametrize("name", ["pay_in_order", "change_silently", "take_over"])
def test_a_write_before_a_call_is_no_fault(name: str) -> None:
    assert not deeds_of(careless()[name]).writes_after_call


def test_a_silent_write_an_open_door_and_a_missing_word_are_seen() -> None:
    silent, door, good = (deeds_of(careless()[name]) for name in ("change_silently", "take_over", "pay_in_order"))
    assert silent.writes and not silent.logs
    assert not door.asks_sender and not door.asks_signature
    assert good.asks_sender and good.logs
    assert len(list(loose_signature_checks(tree_of("Careless", Path(__file__).parent)))) == 1
    assert "@notice" in notice_of(careless()["take_over"])
    assert notice_of(careless()["loop_for_ever"]) == ""


def test_long_loops_and_loose_words_are_seen() -> None:
    tree = tree_of("Careless", Path(__file__).parent)
    assert [rounds for _, rounds in loops(tree)] == [5, 100_000, None]
    reasons = [refusal.reason for refusal in refusals(tree)]
    assert None in reasons and "somebody else: may not" in reasons


@cache
def texts_of_tests() -> str:
    """Everything that the contracts' tests say, but not these rules."""
    files = [path for path in TESTS.rglob("*.py") if path not in (Path(__file__), Path(__file__).with_name("rules.py"))]
    return "".join(path.read_text(encoding="utf-8") for path in files)


def notice_of(function: Any) -> str:
    """The function's NatSpec; empty where it has none."""
    documentation = getattr(function.ast_def, "doc_string", None)
    return documentation.value if documentation is not None else ""


def snake(stem: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", stem).lower()
