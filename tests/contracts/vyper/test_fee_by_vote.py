"""A property fee and the assembly together: it begins as owners really voted, and not otherwise."""

from dataclasses import replace
from hashlib import sha256

from contracts.calls import tariffs
from contracts.calls.assembly import State
from contracts.quorum import Choice
from contracts.tariff import Tariff
from contracts.vyper.compile import artifact
from tests.contracts.vyper.assembly_site import OF_HEAD, Hall, Vote, proposal
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.site import DAY, OFFSET
from tests.contracts.vyper.test_tariffs import PROPERTY_FEE

FEE = replace(PROPERTY_FEE, valid_from=20290101)
HIRE_THE_FIRM = 4  # matter of Civil Code art. 278
NOT_RESOLVED = "tariffs: a fee by floor area needs the owners' resolution"


def voted(hall: Hall, fee: Tariff, choice: Choice) -> Vote:
    """All owners say the same about this fee, and are counted."""
    put = proposal(HIRE_THE_FIRM, payload=sha256(tariffs.resolution_payload(fee)).digest())
    vote = hall.convene(put).open()
    vote.cast(*(vote.sign(voter, choice) for voter in OF_HEAD.values()))
    vote.end()
    vote.count()
    return vote


def test_a_property_fee_begins_as_owners_voted_and_not_otherwise(hall: Hall) -> None:
    creation = tariffs.deploy(
        artifact("Tariffs").bytecode, registry=hall.registry, utc_offset_seconds=OFFSET, tariff_delay=30 * DAY
    )
    contract = hall.chain.deploy(hall.stranger, creation)
    hall.chain.send(hall.manager, tariffs.announce(contract, tariff=FEE))
    voted_down = voted(hall, FEE, Choice.AGAINST)
    another = voted(hall, replace(FEE, valid_from=20290201), Choice.IN_FAVOUR)
    passed = voted(hall, FEE, Choice.IN_FAVOUR)
    assert [vote.outcome().state for vote in (voted_down, another, passed)] == [
        State.FAILED,
        State.PASSED,
        State.PASSED,
    ]
    for vote in (voted_down, another):
        with refused(NOT_RESOLVED):
            hall.chain.send(hall.committee, tariffs.approve(contract, version=1, resolution=vote.number))
    hall.chain.send(hall.committee, tariffs.approve(contract, version=1, resolution=passed.number))
    assert tariffs.parse_tariff(hall.chain.view(tariffs.tariff(contract, version=1))).approved_at == hall.chain.now()
