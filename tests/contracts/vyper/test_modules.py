"""The modules against published vectors and against the Python that everybody else uses."""

import base64
import calendar
import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.abi import encode_arguments, padded
from contracts.bill import Amounts, BillError, BillTree, Node, leaf_node, parent
from contracts.calls.charges import EntryProof
from contracts.checkpoint import Checkpoint
from contracts.entry import Entry, Kind, encode_entry
from contracts.tree import MemoryTree, consistency_path, inclusion_path, leaf_hash
from tests.contracts.vyper.chain import Chain
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.harness import Harness, creation_code
from tests.contracts.vyper.site import SECP256R1_ORDER, SITE, name, reading

VECTORS = Path(__file__).resolve().parents[4] / "shared" / "vectors"
published = pytest.mark.skipif(not VECTORS.exists(), reason="the published vectors are not beside the project")
few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
words = st.binary(min_size=32, max_size=32)


@pytest.fixture(scope="session")
def harness(chain: Chain) -> Harness:
    return Harness(chain)


@published
def test_every_eip_7951_vector_is_judged_alike(harness: Harness) -> None:
    vectors = json.loads((VECTORS / "eip7951" / "test-vectors.json").read_text())
    assert len(vectors) == 781
    for vector in vectors:
        given_bytes = bytes.fromhex(vector["Input"])
        if len(given_bytes) != 160:
            continue
        parts = [given_bytes[start : start + 32] for start in range(0, 160, 32)]
        numbers = [int.from_bytes(part) for part in parts[1:]]
        signed, _ = harness.ask("is_signed", parts[0], *numbers)
        assert signed == bool(vector["Expected"]), vector["Name"]


@published
def test_wycheproof_signatures_with_high_s_pass_for_people_and_not_for_gateways(harness: Harness) -> None:
    suite = json.loads((VECTORS / "wycheproof" / "ecdsa_secp256r1_sha256_p1363_test.json").read_text())
    high = 0
    for group in suite["testGroups"]:
        public = bytes.fromhex(group["publicKey"]["uncompressed"])[1:]
        x, y = int.from_bytes(public[:32]), int.from_bytes(public[32:])
        for case in group["tests"]:
            signature = bytes.fromhex(case["sig"])
            if len(signature) != 64:
                continue
            digest = hashlib.sha256(bytes.fromhex(case["msg"])).digest()
            r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
            for_people, for_gateways = harness.ask("is_signed", digest, r, s, x, y)
            valid = case["result"] == "valid"
            assert for_people == valid, case["tcId"]
            assert for_gateways == (valid and s <= SECP256R1_ORDER // 2), case["tcId"]
            high += valid and s > SECP256R1_ORDER // 2
    assert high == 70


def unbase64(texts: list[str] | None) -> list[bytes]:
    return [base64.b64decode(text) for text in texts or []]


@published
@pytest.mark.parametrize("kind", ["inclusion", "consistency"])
def test_every_published_tree_proof_is_judged_alike(harness: Harness, kind: str) -> None:
    cases: dict[str, dict[str, Any]] = json.loads((VECTORS / "rfc6962" / f"{kind}.json").read_text())
    asked = 0
    for title, case in cases.items():
        if kind == "inclusion":
            path, ends = unbase64(case["proof"]), unbase64([case["leafHash"], case["root"]])
        else:
            path, ends = unbase64(case["proof"]), unbase64([case["root1"], case["root2"]])
        numbers = [value for key, value in case.items() if key in ("leafIdx", "treeSize", "size1", "size2")]
        if any(len(hashed) != 32 for hashed in [*path, *ends]) or min(numbers) < 0 or max(numbers) >= 2**63:
            continue  # not expressible in the contract's types
        if len(path) > 49:
            continue
        if kind == "inclusion":
            holds = harness.ask("is_included", ends[0], case["leafIdx"], case["treeSize"], path, ends[1])
        else:
            holds = harness.ask("is_extension", case["size1"], ends[0], case["size2"], ends[1], path)
        empty_old = kind == "consistency" and case["size1"] == 0
        assert holds == (not case["wantErr"] and not empty_old), title
        asked += 1
    assert asked > 60


@few
@given(st.integers(1, 300), st.data())
def test_paths_agree_with_the_python_tree_and_damaged_ones_are_refused(
    harness: Harness, size: int, data: st.DataObject
) -> None:
    tree = MemoryTree(name(str(index)) for index in range(size))
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_path(tree.node, index, size)
    leaf, root = tree.node(0, index), tree.root()
    assert harness.ask("is_included", leaf, index, size, path, root)
    assert not harness.ask("is_included", leaf, index + size, size, path, root)
    assert not harness.ask("is_included", leaf, index, size, [*path, root], root)
    old = data.draw(st.integers(1, size))
    extension = consistency_path(tree.node, old, size)
    assert harness.ask("is_extension", old, tree.root(old), size, root, extension)
    if extension:
        place = data.draw(st.integers(0, len(extension) - 1))
        damaged = [*extension[:place], name("damage"), *extension[place + 1 :]]
        assert not harness.ask("is_extension", old, tree.root(old), size, root, damaged)
        assert not harness.ask("is_extension", old, tree.root(old), size, root, extension[:-1])


def test_an_index_beyond_the_size_proves_nothing(harness: Harness) -> None:
    tree = MemoryTree(name(str(index)) for index in range(4))
    path = inclusion_path(tree.node, 2, 4)
    assert harness.ask("is_included", tree.node(0, 2), 2, 4, path, tree.root())
    for index in (6, 10, 1002):
        assert not harness.ask("is_included", tree.node(0, 2), index, 4, path, tree.root())
    assert not harness.ask("is_included", tree.root(), 0, 0, [], tree.root())
    assert not harness.ask("is_included", tree.root(), 0, 2**48, [], tree.root())
    assert not harness.ask("is_extension", 0, bytes(32), 4, tree.root(), [])
    assert not harness.ask("is_extension", 1, tree.root(1), 2**48, tree.root(), [])
    assert not harness.ask("is_extension", 5, tree.root(), 4, tree.root(), [])


@few
@given(words)
def test_base64_is_rfc_4648s(harness: Harness, word: bytes) -> None:
    standard, url = harness.ask("base64_texts", word)
    assert standard == base64.b64encode(word)
    assert url == base64.urlsafe_b64encode(word).rstrip(b"=")


def test_base64_writes_every_character(harness: Harness) -> None:
    bits = "".join(f"{value:06b}" for value in range(42))
    for start in range(0, 64, 21):
        shifted = "".join(f"{(value + start) % 64:06b}" for value in range(42))
        word = int(shifted.ljust(256, "1")[:256], 2).to_bytes(32)
        assert harness.ask("base64_texts", word)[0] == base64.b64encode(word)
    assert len(bits) == 252


@few
@given(st.integers(0, 2**48 - 1), words)
def test_the_checkpoint_text_is_the_gateways(harness: Harness, size: int, root: bytes) -> None:
    origin = "minglou.example/hz-cuiyuan/b07/e0"
    body = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    if size:
        assert Checkpoint(origin=origin, size=size, root=root).body() == body
    assert harness.ask("checkpoint_digest", origin, size, root) == hashlib.sha256(body.encode()).digest()


@few
@given(st.dates(date(1970, 1, 2), date(2399, 12, 31)))
def test_dates_are_the_calendars(harness: Harness, day: date) -> None:
    number = day.year * 10000 + day.month * 100 + day.day
    assert harness.ask("days", number) == (day - date(1970, 1, 1)).days
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=8)
    if midnight.timestamp() >= 0:
        assert harness.ask("midnight", number, 8 * 3600) == int(midnight.timestamp())


@pytest.mark.parametrize(
    "number", [20260229, 20260431, 20261301, 20260001, 20260100, 20260132, 19691231, 99991231 + 10000, 0]
)
def test_dates_that_no_calendar_has_are_refused(harness: Harness, number: int) -> None:
    with refused("calendar: no such date"):
        harness.ask("days", number)
    assert not calendar.isleap(2026)


def test_boundary_quantities_are_the_gateways(harness: Harness) -> None:
    for quantity in ("1-0:1.8.0", "8-0:1.0.0", "abcdefghijklmnopqrstuvw"):
        assert harness.ask("boundary_quantity", padded(quantity), 20261201) == padded(f"{quantity}*20261201")
    with refused("calendar: quantity leaves no room for a date"):
        harness.ask("boundary_quantity", padded("abcdefghijklmnopqrstuvwx"), 20261201)


@few
@given(st.integers(-(2**63) + 1, 2**63 - 1), words, st.binary(min_size=16, max_size=16))
def test_the_leaf_hash_is_the_gateways(harness: Harness, value: int, device: bytes, salt: bytes) -> None:
    entry = Entry(
        kind=Kind.READING,
        device=device,
        observed_at_ms=1_764_000_000_000,
        quantity="1-0:1.8.0",
        value=value,
        detail_digest=name("detail"),
        salt=salt,
    )
    words_of = EntryProof(entry, 0, ()).abi()[0]
    assert harness.ask("leaf_hash", words_of) == leaf_hash(encode_entry(entry))


def test_only_the_named_devices_boundary_entry_gives_a_register(harness: Harness) -> None:
    device = name("meter")
    good = reading(device, "1-0:1.8.0*20261201", 77)
    ask = ("register", EntryProof(good, 0, ()).abi()[0], device, padded("1-0:1.8.0"))
    assert harness.ask(*ask, 20261201) == 77
    with refused("entry_proof: entry is not this boundary's"):
        harness.ask(*ask, 20261101)
    with refused("entry_proof: entry is another device's"):
        harness.ask(ask[0], ask[1], name("other"), ask[3], 20261201)
    negative = EntryProof(reading(device, "1-0:1.8.0*20261201", -1), 0, ()).abi()[0]
    with refused("entry_proof: register is negative"):
        harness.ask("register", negative, device, ask[3], 20261201)
    no_reading = (2, *ask[1][1:])
    with refused("entry_proof: entry is no reading"):
        harness.ask("register", no_reading, device, ask[3], 20261201)


@few
@given(st.integers(1, 64), st.data())
def test_the_bill_tree_is_pythons(harness: Harness, count: int, data: st.DataObject) -> None:
    bills, leaves = [], []
    for index in range(count):
        own, shared = data.draw(st.integers(0, 2**40)), data.draw(st.integers(0, 2**40))
        amounts = Amounts(total=own + shared, own=own, shared=shared, other=0)
        bills.append((amounts.word(), name(f"lines {index}"), name(f"salt {index}")))
        leaves.append(
            leaf_node(
                chain_id=31337,
                contract=harness.address,
                site=SITE,
                period=1,
                unit_index=index,
                amounts=amounts,
                lines_digest=name(f"lines {index}"),
                salt=name(f"salt {index}"),
            )
        )
    tree = BillTree(leaves)
    assert harness.ask("bill_top", SITE, 1, 0, bills) == tree.root.abi()
    index = data.draw(st.integers(0, count - 1))
    path = [node.abi() for node in tree.path(index)]
    assert harness.ask("climb", leaves[index].abi(), index, count, path) == tree.root.abi()
    with refused("bill_tree: index is beyond the tree"):
        harness.ask("climb", leaves[index].abi(), index + count, count, path)
    with refused("bill_tree: path has the wrong length"):
        harness.ask("climb", leaves[index].abi(), index, count, [*path, leaves[0].abi()])


def test_a_sum_that_overflows_its_lane_is_refused_in_both_languages(harness: Harness) -> None:
    for lane in (0, 64, 128, 192):
        half = Node(name("node"), 2**63 << lane)
        almost = Node(name("node"), (2**63 - 1) << lane)
        with refused("bill_tree: sum overflows"):
            harness.ask("climb", half.abi(), 0, 2, [half.abi()])
        with pytest.raises(BillError, match="64 bits"):
            parent(half, half)
        assert harness.ask("climb", half.abi(), 0, 2, [almost.abi()]) == parent(half, almost).abi()


def test_a_leaf_whose_total_is_not_its_parts_is_refused(harness: Harness) -> None:
    with refused("bill_tree: total is not the sum of its parts"):
        harness.ask("bill_top", SITE, 1, 0, [(5 << 192 | 4 << 128, bytes(32), bytes(32))])


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (1, "p256: verifier accepts a wrong signature"),
        (2, "p256: verifier does not accept a known-good signature; configure one for this chain"),
    ],
)
def test_a_contract_refuses_to_exist_without_a_working_verifier(
    chain: Chain, harness: Harness, kind: int, reason: str
) -> None:
    code = creation_code("Verifier")
    verifier = chain.deploy(chain.accounts[0], code + kind.to_bytes(32))
    with refused(reason):
        chain.deploy(chain.accounts[0], harness.creation + encode_arguments("", ("address",), (verifier,)))


def test_an_address_without_code_is_no_verifier(chain: Chain, harness: Harness) -> None:
    nobody = "0x00000000000000000000000000000000000001aa"
    with refused("p256: verifier does not accept a known-good signature; configure one for this chain"):
        chain.deploy(chain.accounts[0], harness.creation + encode_arguments("", ("address",), (nobody,)))


def test_a_configured_verifier_serves_in_place_of_the_precompile(chain: Chain) -> None:
    verifier = chain.deploy(chain.accounts[0], creation_code("Verifier") + bytes(32))
    assert Harness(chain, verifier).ask("base64_texts", bytes(32))[0] == base64.b64encode(bytes(32))
