"""A ballot that the cloud refused still counts: signed at home, kept as a file, brought to the chain by a stranger."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.act_file import act_of_call, format_act
from contracts.quorum import Choice
from contracts.vyper.compile import artifact
from tests.contracts.vyper.assembly_site import HEADS, OF_HEAD, Hall, proposal
from tests.contracts.vyper.forks import chain_at
from tests.processes import program

# anvil's tenth account, published and worthless anywhere else: nobody to the contracts.
STRANGERS_KEY = "0x2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6"


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    with chain_at("osaka", tmp_path) as chain:
        hall = Hall(chain)
        hall.set_up()
        yield hall


def test_a_ballot_that_the_cloud_refused_still_counts(hall: Hall, tmp_path: Path) -> None:
    vote = hall.convene(proposal()).open()
    majority = [OF_HEAD[head] for head in range(HEADS - 1)]
    vote.say(majority[:4], Choice.AGAINST)
    # The cloud relays those; the ballots that would turn the vote it leaves out, whoever asks.
    refused = [vote.sign(voter, Choice.IN_FAVOUR) for voter in majority[4:]]
    refused += [vote.sign(voter, Choice.IN_FAVOUR, sequence=2) for voter in majority[1:4]]

    abi = artifact("Ballots").abi
    call = vote.cast_call(refused)
    act = act_of_call(call, chain_id=31337, contract="Ballots", function="cast", abi=abi)
    file, key = tmp_path / "ballots.json", tmp_path / "key"
    file.write_bytes(format_act(act, abi))
    key.write_text(STRANGERS_KEY)
    key.chmod(0o600)
    words: list[str | Path] = [
        program("minglou"),
        "chain",
        "submit",
        file,
        "--rpc",
        hall.chain.url,
        "--registry",
        hall.registry,
    ]
    done = subprocess.run([*words, "--key", key], capture_output=True, text=True, timeout=280)
    assert done.stdout.startswith("Ballots.cast is in block "), done.stderr

    assert [vote.spoken(head)[0] for head in range(HEADS - 1)] == [Choice.AGAINST] + [Choice.IN_FAVOUR] * 7
    vote.end()
    vote.count()
    assert vote.result().tally.in_favour.heads == 7
