"""Gas of the owners' assembly: convening, ballots in batches, counting, each as whole transactions."""

from __future__ import annotations

from contracts.calls import assembly, resolutions
from contracts.quorum import Choice
from tests.bench.figure import Figure
from tests.contracts.vyper.assembly_site import PASSKEY, SOFTWARE, Hall, Vote, Voter, proposal, voters

HEADS = 128
BATCH, SMALL = 100, 10
BLOCK = 64


def assembly_figures(hall: Hall) -> dict[str, Figure]:
    """A vote of 128 heads: the roll, batches of 100 and of 10 first ballots, the same replaced, counting."""
    first = len(hall.units)
    head = hall.head_count if hall.units else 0
    hall.add_units([(8_000 + place, head + place, place % 3) for place in range(HEADS)])
    passkeys = voters(range(first, first + BATCH), kind=PASSKEY, secret=40_000)
    software = voters(range(first + BATCH, first + BATCH + SMALL), kind=SOFTWARE, secret=40_000)
    hall.add_keys([*passkeys, *software])
    hall.chain.wait(3600)
    asked = hall.chain.send(
        hall.committee, resolutions.convene(hall.resolutions, **hall.convening(proposal(), hall.roll(proposal())))
    ).gas_used
    vote = hall.convene(proposal(), shown=False)
    shows = resolutions.show_roll(hall.resolutions, number=vote.number, roll=vote.roll)
    shown = [hall.chain.send(hall.stranger, call).gas_used for call in shows]
    vote.open()
    large = vote.say(passkeys, Choice.IN_FAVOUR).gas_used
    again = vote.say(passkeys, Choice.AGAINST, sequence=2).gas_used
    plain = vote.say(software, Choice.IN_FAVOUR).gas_used
    other = hall.convene(proposal()).open()  # by then the first one has ended
    small = other.say(passkeys[:SMALL], Choice.IN_FAVOUR).gas_used
    mixed = batch_gas(other, passkeys[SMALL:])
    calls = assembly.count_roll(hall.assembly, number=vote.number, roll=vote.roll)
    counted = [hall.chain.send(hall.stranger, call).gas_used for call in calls]
    return {
        "gas.vote_each_100": Figure(
            value=round(large / BATCH),
            unit="gas",
            note=f"passkeys' first ballots, {BATCH} in one transaction of {large:,}; replacing them {again // BATCH:,} "
            f"each; 90 of three choices {mixed // (BATCH - SMALL):,} each",
        ),
        "gas.vote_each_10": Figure(
            value=round(small / SMALL),
            unit="gas",
            note=f"the same, {SMALL} in one; by software keys {plain // SMALL:,} each",
        ),
        "gas.convene": Figure(
            value=asked, unit="gas", note="the committee convenes a vote, whatever the number of owners"
        ),
        "gas.roll_each": Figure(
            value=round(shown[0] / BLOCK), unit="gas/head", note=f"a block of {BLOCK} leaves shown in public"
        ),
        "gas.count_each": Figure(
            value=round(counted[0] / BLOCK),
            unit="gas/head",
            note=f"a block of {BLOCK} counted; the last one, which decides: {counted[-1]:,} in all",
        ),
    }


def batch_gas(vote: Vote, passkeys: list[Voter]) -> int:
    """A batch whose ballots say three different things."""
    choices = list(Choice)
    return vote.cast(*(vote.sign(voter, choices[place % 3]) for place, voter in enumerate(passkeys))).gas_used
