"""Maintenance on a real chain: judged visits are recorded and paid, missing ones claimed, by nobody's hand."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from cloud.chain.deployment import CONTRACTS, read_deployment
from cloud.chain.sender import AlreadyDone, NotYet
from cloud.maintenance.overlaps import Overlap, OverlapState
from cloud.maintenance.worker import careful
from cloud.store import tables
from contracts.abi import AbiError
from contracts.calls import counterevidence, crews, labels, labels_changes, service_agreements
from contracts.due import local_day
from contracts.entry import device_id
from contracts.label import Place, label_digest
from contracts.visit import VisitClass
from tests.cloud.maintenance_site import (
    BUDGET,
    DEPOSIT,
    FEE,
    OFFSET_S,
    OTHER_LIFT,
    PENALTY,
    Upkeep,
    line_name,
    open_upkeep,
)
from tests.conftest import Endpoint
from tests.visits import ALIASES, LIFT, MECHANIC, OTHER

Run = Callable[[Any], Any]
pytestmark = pytest.mark.usefixtures("agreed")


async def kept_day(upkeep: Upkeep, day: int) -> Any:
    """What the contract itself keeps of a day."""
    slot = day % service_agreements.RING
    call = service_agreements.visit(upkeep.site.deployment.service_agreements, line=line_name(upkeep.terms), slot=slot)
    return service_agreements.parse_visit(await upkeep.site.client.call(call.to, call.data), slot=slot)


def test_a_judged_visit_is_recorded_and_its_fee_released(
    run: Run, tmp_path: Path, store_url: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with open_upkeep(tmp_path, store_url, anvil.url) as upkeep:
            had = await upkeep.balance_of_firm()
            visit = await upkeep.hand_in(level=3)
            digest, day = visit.digest(), local_day(visit.ended_at_s, utc_offset_s=OFFSET_S)
            assert upkeep.view.word(digest) == "waiting"
            await upkeep.settle_until(lambda: upkeep.view.word(digest) == "paid")
            await upkeep.settle(4)
            kept = await kept_day(upkeep, day)
            assert kept.digest == digest[: service_agreements.DIGEST_BYTES] and kept.paid == FEE
            assert await upkeep.balance_of_firm() == had + FEE
            recorded = upkeep.view.recorded(digest)
            assert recorded is not None and recorded.paid_fen == FEE
            assert recorded.transaction != recorded.paid_transaction
            assert upkeep.agreement.budget == BUDGET - FEE
            states = {key.partition(":")[0]: state for key, state in (await upkeep.chain.states()).items()}
            assert states == {"accept": "final", "visit": "final", "fee": "final"}

    run(scenario())


def test_what_the_agreement_does_not_ask_for_is_recorded_but_not_paid(
    run: Run, tmp_path: Path, kept: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with open_upkeep(tmp_path, kept, anvil.url) as upkeep:
            had = await upkeep.balance_of_firm()
            alone = await upkeep.hand_in(keys=(MECHANIC,), salt=2)
            low = await upkeep.hand_in(level=1, salt=3)
            unseen = await upkeep.hand_in(level=0, salt=4)
            as_good = await upkeep.hand_in(level=1, salt=5)
            await upkeep.settle_until(lambda: upkeep.view.word(low.digest()) == "recorded")
            await upkeep.settle(8)
            visits = (alone, low, unseen, as_good)
            words = [upkeep.view.word(visit.digest()) for visit in visits]
            assert words == ["recorded", "recorded", "waiting", "waiting"], "the day holds the best of each kind"
            assert await upkeep.balance_of_firm() == had
            states = await upkeep.chain.states()
            assert all(state in ("final", "done") for state in states.values()), states
            assert not any(key.startswith("fee:") for key in states)

    run(scenario())


def test_a_visit_of_somebody_whom_crews_does_not_know_waits_and_stops_nobody(
    run: Run, tmp_path: Path, kept: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with open_upkeep(tmp_path, kept, anvil.url) as upkeep:
            await upkeep.site.send_call("manager", crews.end_member(upkeep.site.deployment.crews, alias=ALIASES[OTHER]))
            of_two = await upkeep.hand_in(salt=2)
            alone = await upkeep.hand_in(keys=(MECHANIC,), salt=3)
            await upkeep.settle_until(lambda: upkeep.view.word(alone.digest()) == "recorded")
            assert upkeep.view.word(of_two.digest()) == "waiting"
            assert (await upkeep.chain.states())[f"visit:{of_two.digest().hex()}"] == "pending"
            assert not upkeep.chain.breaker.open

    run(scenario())


def test_a_reorganisation_neither_loses_nor_repeats_a_visit_or_its_fee(
    run: Run, tmp_path: Path, kept: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with open_upkeep(tmp_path, kept, anvil.url) as upkeep:
            had = await upkeep.balance_of_firm()
            visit = await upkeep.hand_in()
            await upkeep.settle_until(lambda: upkeep.view.word(visit.digest()) == "recorded")
            await upkeep.site.rpc("anvil_reorg", 2, [])
            upkeep.chain.seconds[0] += 21  # until what was sent is looked after
            await upkeep.settle_until(lambda: upkeep.view.word(visit.digest()) == "paid")
            await upkeep.site.rpc("anvil_reorg", 2, [])
            await upkeep.settle(2)
            upkeep.chain.seconds[0] += 21
            await upkeep.settle_until(lambda: upkeep.view.word(visit.digest()) == "paid")
            await upkeep.settle(6)
            assert await upkeep.balance_of_firm() == had + FEE
            assert set((await upkeep.chain.states()).values()) <= {"final", "done"}

    run(scenario())


def test_the_fee_of_a_visit_that_is_contradicted_goes_back_out_of_the_deposit(
    run: Run, tmp_path: Path, kept: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with open_upkeep(tmp_path, kept, anvil.url) as upkeep:
            keys = (MECHANIC, OTHER)
            here = await upkeep.hand_in(judged=False)
            index = await upkeep.judge(here, 3)
            await upkeep.settle_until(lambda: upkeep.view.word(here.digest()) == "paid")
            there = upkeep.sign(replace(here, device=device_id(OTHER_LIFT)), keys)
            other = await upkeep.judge(there.visit, 3, urn=OTHER_LIFT)
            call = counterevidence.report_overlap(
                upkeep.site.deployment.counterevidence,
                mechanic=ALIASES[MECHANIC],
                a=await upkeep.evidence(upkeep.sign(here, keys), index),
                b=await upkeep.evidence(there, other),
            )
            await upkeep.site.send_call("committee", call)
            await upkeep.settle_until(lambda: upkeep.agreement.payments == 2)
            assert upkeep.view.word(here.digest()) == "recorded"
            assert (upkeep.agreement.budget, upkeep.agreement.deposit) == (BUDGET, DEPOSIT - FEE)
            assert await upkeep.held() == (BUDGET, DEPOSIT - FEE, 0)

    run(scenario())


def test_two_visits_of_one_mechanic_at_once_are_brought_to_their_contract_when_a_person_says_so(
    run: Run, tmp_path: Path, kept: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with open_upkeep(tmp_path, kept, anvil.url) as upkeep:
            overlaps, elsewhere = upkeep.chain.upkeep.overlaps, {"urn": OTHER_LIFT, "judged": False}
            here = await upkeep.hand_in()
            there = await upkeep.hand_in(started_at_s=here.started_at_s - 300, **elsewhere)
            before = await upkeep.hand_in(started_at_s=here.started_at_s - 30 * 60, salt=3, **elsewhere)
            pair = (here.digest(), there.digest())
            await upkeep.settle_until(lambda: upkeep.view.word(here.digest()) == "paid")
            assert await overlaps.of(here.digest(), before.digest()) is None, "five minutes may be two clocks"
            assert not await overlaps.bring(here.digest(), before.digest())
            assert await overlaps.of(*pair) == Overlap(state=OverlapState.OFFERED)
            await upkeep.settle(4)
            assert not any(key.startswith("overlap:") for key in await upkeep.chain.states()), "no rule brings it"
            assert await overlaps.bring(*pair) and await overlaps.bring(*reversed(pair))
            assert await overlaps.of(*pair) == Overlap(state=OverlapState.SENT)
            await upkeep.judge(there, 3, urn=OTHER_LIFT)
            await upkeep.settle_until(lambda: upkeep.agreement.payments == 2)
            shown = await overlaps.of(*pair)
            assert shown is not None and shown.state is OverlapState.SHOWN and shown.transaction.startswith("0x")
            assert (upkeep.agreement.budget, upkeep.agreement.deposit) == (BUDGET, DEPOSIT - FEE)

    run(scenario())


def test_overdue_days_become_a_penalty_after_thirty_days(run: Run, tmp_path: Path, kept: str, anvil: Endpoint) -> None:
    async def scenario() -> None:
        async with open_upkeep(tmp_path, kept, anvil.url) as upkeep:
            first = upkeep.terms.starts_on
            await upkeep.go_to(first + 15)
            await upkeep.settle(4)
            assert not upkeep.agreement.claims  # day 15 is the last one in time
            await upkeep.go_to(first + 17)
            await upkeep.settle_until(lambda: bool(upkeep.agreement.claims))
            (claim,) = upkeep.agreement.claims.values()
            assert (claim.visit_class, claim.days, claim.is_settled) == (VisitClass.HALF_MONTH, 1, False)
            assert upkeep.agreement.deposit == DEPOSIT - PENALTY
            late = await upkeep.hand_in(level=3)
            await upkeep.settle_until(lambda: upkeep.view.word(late.digest()) == "paid")
            assert not claim.is_settled  # it came on the day after
            assert len(upkeep.agreement.open_claims()) == 1
            await upkeep.go_to(first + 30)
            await upkeep.hand_in(salt=9)
            await upkeep.go_to(first + 48)
            await upkeep.hand_in(salt=10)
            await upkeep.settle_until(lambda: upkeep.agreement.claims[claim.number].is_settled)
            settled = upkeep.agreement.claims[claim.number]
            assert settled.is_settled and settled.days == 1
            agreement = upkeep.agreement
            assert await upkeep.held() == (agreement.budget, agreement.deposit, agreement.claimed)
            assert any(key.startswith("life:") for key in await upkeep.chain.states())

    run(scenario())


def test_a_claim_falls_when_a_visit_proves_to_have_been_in_time(
    run: Run, tmp_path: Path, kept: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with open_upkeep(tmp_path, kept, anvil.url) as upkeep:
            first = upkeep.terms.starts_on
            await upkeep.go_to(first + 14)
            started = upkeep.clock.seconds - 3600
            await upkeep.go_to(first + 20)
            await upkeep.settle_until(lambda: bool(upkeep.agreement.claims))
            (claim,) = upkeep.agreement.claims.values()
            assert claim.days == 4 and upkeep.agreement.claimed == 4 * PENALTY
            visit = await upkeep.hand_in(started_at_s=started)  # the phone was offline; the gateway remembers
            await upkeep.settle_until(lambda: not upkeep.agreement.open_claims())
            await upkeep.settle_until(lambda: upkeep.view.word(visit.digest()) == "paid")
            assert (upkeep.agreement.deposit, upkeep.agreement.claimed) == (DEPOSIT, 0)

    run(scenario())


def test_no_day_is_claimed_while_a_visit_that_would_cover_it_waits(
    run: Run, tmp_path: Path, kept: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with open_upkeep(tmp_path, kept, anvil.url) as upkeep:
            first = upkeep.terms.starts_on
            await upkeep.go_to(first + 14)
            visit = await upkeep.hand_in(judged=False)
            await upkeep.go_to(first + 20)
            await upkeep.settle(6)
            assert not upkeep.agreement.claims, "its gateway may still say that somebody was there on day 14"
            await upkeep.judge(visit, 1)
            await upkeep.settle_until(lambda: bool(upkeep.agreement.claims))  # by its level it covers nothing
            (claim,) = upkeep.agreement.claims.values()
            assert (claim.from_day, claim.days) == (first, 4)

    run(scenario())


def test_no_claim_is_settled_while_a_visit_that_would_lower_it_waits(
    run: Run, tmp_path: Path, kept: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with open_upkeep(tmp_path, kept, anvil.url) as upkeep:
            first = upkeep.terms.starts_on
            await upkeep.go_to(first + 14)
            started = upkeep.clock.seconds - 3600
            await upkeep.go_to(first + 17)
            await upkeep.settle_until(lambda: bool(upkeep.agreement.claims))
            (number,) = upkeep.agreement.claims
            await upkeep.say("lift.stopped", 0)  # its gateway lives
            visit = await upkeep.hand_in(started_at_s=started, judged=False)
            await upkeep.go_to(first + 48)
            await upkeep.settle(8)
            assert not upkeep.agreement.claims[number].is_settled
            await upkeep.judge(visit, 3)
            await upkeep.settle_until(lambda: upkeep.agreement.claims[number].is_settled)
            assert upkeep.agreement.claims[number].days == 0

    run(scenario())


def test_days_that_the_deposit_did_not_cover_are_claimed_after_the_end_once_it_does(
    run: Run, tmp_path: Path, kept: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with open_upkeep(tmp_path, kept, anvil.url) as upkeep:
            overdue, first = upkeep.chain.upkeep.overdue, upkeep.terms.starts_on
            await upkeep.go_to(first + 17)
            await upkeep.chain.follow()
            agreement, deposit = upkeep.agreement, upkeep.agreement.deposit
            agreement.ends_on = first + 16
            assert await overdue.step()
            agreement.deposit = PENALTY - 1  # another class's claim came first
            ended = [key for key in await upkeep.chain.states() if key.startswith("overdue:")]
            params = {"agreement": agreement.name.hex(), "class": 1, "through": first + 16}
            assert isinstance(await overdue.overdue(params), AlreadyDone)
            async with upkeep.chain.bench.store.write() as connection:
                await connection.execute(update(tables.intents).values(state="final"))
            agreement.deposit = deposit + PENALTY
            assert await overdue.step(), "it is wished for again"
            assert {key for key in await upkeep.chain.states() if key.startswith("overdue:")} > set(ended)

    run(scenario())


def test_a_label_is_known_with_its_device_until_it_is_revoked(
    run: Run, tmp_path: Path, kept: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with open_upkeep(tmp_path, kept, anvil.url) as upkeep:
            at, device, digest = upkeep.site.deployment.labels, device_id(LIFT), label_digest("0123456789ab")
            assert upkeep.view.label_of(digest) is None
            label = labels_changes.NewLabel(digest, Place.CAR)
            await upkeep.site.change_by_calls(labels_changes.bind_labels(at, device=device, labels=[label]))
            await upkeep.chain.follow()
            assert upkeep.view.label_of(digest) == (device, Place.CAR, False)
            await upkeep.site.send_call("committee", labels.revoke_label(at, digest=digest))
            await upkeep.chain.follow()
            assert upkeep.view.label_of(digest) == (device, Place.CAR, True)

    run(scenario())


def test_a_visit_that_fits_no_call_ends_with_the_reason_and_stops_nobody(run: Run) -> None:
    async def too_long(_params: Mapping[str, Any]) -> NotYet:
        raise AbiError("the passkeys' client data have 300 bytes together; 256 is the limit")

    ended = run(careful(too_long)({}))
    assert isinstance(ended, AlreadyDone) and "256 is the limit" in ended.says


def test_a_deployment_from_before_labels_is_read_and_followed_without_them(tmp_path: Path) -> None:
    names = [name for name in CONTRACTS if name != "labels"]
    document = {
        "format": "minglou-deployment/1", "chain_id": "31337", "from_block": "1", "site": "00" * 32,
        "contracts": {name: f"0x{number:040x}" for number, name in enumerate(names, 1)},
    }  # fmt: skip
    (tmp_path / "deployment.json").write_text(json.dumps(document))
    deployment = read_deployment(tmp_path / "deployment.json")
    assert deployment.labels == "" and set(deployment.addresses.values()) == set(names)
