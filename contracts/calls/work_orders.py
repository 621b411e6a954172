"""WorkOrders: repair requests from report to payment (WorkOrders.vy)."""

from collections.abc import Sequence

from contracts.abi import Call, Function, by_field, encode_arguments, padded
from contracts.calls.anchor_log import HEAD_TYPE, Head
from contracts.calls.charges import ENTRY_PROOF_TYPE, EntryProof
from contracts.person import PERSON_SIGNATURE_TYPE, PersonSignature
from contracts.work_order import FAULT_TYPE, TERMS_TYPE, Fault, Order, State, Terms

ARRIVAL_TYPE = "(uint256,uint256)"
ORDER_TYPE = "(" + ",".join(["uint256"] * 9) + ",bytes32,uint256,uint256,address)"

_REPORT = Function("report", bytes.fromhex("c869a5a5"), ("bytes32", "bytes32", PERSON_SIGNATURE_TYPE), ("bytes32",))
_REPORT_BY_MACHINE = Function(
    "report_by_machine", bytes.fromhex("86aa1d46"), ("bytes32", HEAD_TYPE, ENTRY_PROOF_TYPE), ("bytes32",)
)
_WITHDRAW = Function("withdraw", bytes.fromhex("5a3877af"), ("bytes32", PERSON_SIGNATURE_TYPE), ())
_ACCEPT = Function(
    "accept", bytes.fromhex("802a083a"), ("bytes32", "uint256", "uint256", "uint256", "address", "uint256"), ()
)
_ACCEPT_AS_FIRM = Function(
    "accept_as_firm", bytes.fromhex("315ea0de"), ("bytes32", "uint256", PERSON_SIGNATURE_TYPE), ()
)
_ARRIVE = Function("arrive", bytes.fromhex("173e6ba9"), ("bytes32", "bytes32", "uint256", PERSON_SIGNATURE_TYPE), ())
_FINISH = Function("finish", bytes.fromhex("b470972a"), ("bytes32", "bytes32", PERSON_SIGNATURE_TYPE), ())
_CONFIRM = Function("confirm", bytes.fromhex("88ba155a"), ("bytes32", PERSON_SIGNATURE_TYPE), ())
_REOPEN = Function("reopen", bytes.fromhex("7fec5f5d"), ("bytes32", "bytes32", PERSON_SIGNATURE_TYPE), ())
_JUDGE_BY_MACHINE = Function(
    "judge_by_machine", bytes.fromhex("f3366e21"), ("bytes32", "bytes32", HEAD_TYPE, ENTRY_PROOF_TYPE), ()
)
_OBJECT = Function("object", bytes.fromhex("fa7a5a13"), ("bytes32", "bytes32"), ())
_LAPSE = Function("lapse", bytes.fromhex("77c2498f"), ("bytes32",), ())
_REFUSE = Function("refuse", bytes.fromhex("3d93e491"), ("bytes32", "bytes32"), ())
_RELEASE = Function("release", bytes.fromhex("67d42a8b"), ("bytes32",), ())
_ESCALATE = Function("escalate", bytes.fromhex("7427ec6e"), ("bytes32",), ())
_ORDER = Function("order", bytes.fromhex("e80160ab"), ("bytes32",), (ORDER_TYPE, ARRIVAL_TYPE))
_TERMS = Function("terms", bytes.fromhex("d5025625"), (), (TERMS_TYPE,))
_FAULT = Function("fault", bytes.fromhex("7cb1b73a"), ("bytes32",), ("uint256", "uint256"))
_LAST_ORDERS = Function("last_orders", bytes.fromhex("455e1ec2"), ("bytes32",), ("bytes32",))
_ESCROWED = Function("escrowed", bytes.fromhex("01522b1e"), (), ("uint256",))


def deploy(bytecode: bytes, *, registry: str, terms: Terms, faults: Sequence[Fault], verifier: str) -> bytes:
    """Creation data: the compiled bytecode with its constructor's arguments."""
    arguments = encode_arguments(
        "WorkOrders",
        ("address", TERMS_TYPE, FAULT_TYPE + "[]", "address"),
        (registry, terms.abi(), [fault.abi() for fault in faults], verifier),
    )
    return bytecode + arguments


def report(to: str, *, device: bytes, report: bytes, signature: PersonSignature) -> Call:
    """An owner reports what is broken. Anyone may relay it."""
    return _REPORT.call(to, device, report, signature.abi())


def report_by_machine(to: str, *, origin_id: bytes, head: Head, proof: EntryProof) -> Call:
    """A gateway's entry that says that something is wrong. Anyone may bring it; one open order for each fault."""
    return _REPORT_BY_MACHINE.call(to, origin_id, head.abi(), proof.abi())


def withdraw(to: str, *, order: bytes, signature: PersonSignature) -> Call:
    """The owner takes back a report that nobody has accepted. Anyone may relay it."""
    return _WITHDRAW.call(to, order, signature.abi())


def accept(to: str, *, order: bytes, firm: int, promise_at: int, price: int, payee: str, budget: int) -> Call:
    """The manager gives an order to a firm, with a promise and, where it costs money, escrow.

    Args:
        firm: its number; 0 for the site's own people.
        budget: resolution whose budget is drawn from; 0 for the sender's own money.
    """
    return _ACCEPT.call(to, order, firm, promise_at, price, payee, budget)


def accept_as_firm(to: str, *, order: bytes, promise_at: int, signature: PersonSignature) -> Call:
    """A firm accepts what its standing contract covers, signed by one of its people. Anyone may relay it."""
    return _ACCEPT_AS_FIRM.call(to, order, promise_at, signature.abi())


def arrive(to: str, *, order: bytes, arrival: bytes, at: int, signature: PersonSignature) -> Call:
    """Somebody says on the spot that they have come. Anyone may relay it.

    Args:
        arrival: digest of the `contracts.arrival.Arrival`.
        at: its time, Unix seconds.
    """
    return _ARRIVE.call(to, order, arrival, at, signature.abi())


def finish(to: str, *, order: bytes, evidence: bytes, signature: PersonSignature) -> Call:
    """Somebody of the accepting firm says that it is done. Anyone may relay it."""
    return _FINISH.call(to, order, evidence, signature.abi())


def confirm(to: str, *, order: bytes, signature: PersonSignature) -> Call:
    """The owner says that it is well done, and the firm is paid. Anyone may relay it."""
    return _CONFIRM.call(to, order, signature.abi())


def reopen(to: str, *, order: bytes, reason: bytes, signature: PersonSignature) -> Call:
    """The owner says that it is not done, within the window. Anyone may relay it."""
    return _REOPEN.call(to, order, reason, signature.abi())


def judge_by_machine(to: str, *, order: bytes, origin_id: bytes, head: Head, proof: EntryProof) -> Call:
    """What the machine says later of a fault that it reported: well, or still wrong although done. Anyone may."""
    return _JUDGE_BY_MACHINE.call(to, order, origin_id, head.abi(), proof.abi())


def lapse(to: str, *, order: bytes) -> Call:
    """Nobody objected in time: the firm is paid. Anyone may trigger it."""
    return _LAPSE.call(to, order)


def object_to(to: str, *, order: bytes, reason: bytes) -> Call:
    """The committee says that what a machine reported is not done."""
    return _OBJECT.call(to, order, reason)


def refuse(to: str, *, order: bytes, document: bytes) -> Call:
    """The committee refuses work that was reopened as often as it may be; escrow goes back."""
    return _REFUSE.call(to, order, document)


def release(to: str, *, order: bytes) -> Call:
    """Free an order whose promise was missed for long; escrow goes back. Anyone may trigger it."""
    return _RELEASE.call(to, order)


def escalate(to: str, *, order: bytes) -> Call:
    """Put on record that an order was not accepted, or its promise not kept, in time. Anyone may."""
    return _ESCALATE.call(to, order)


def order(to: str, *, order: bytes) -> Call:
    """How an order stands, and who came first; zeros where there is none."""
    return _ORDER.call(to, order)


def parse_order(result: bytes) -> Order:
    """The result of `order`."""
    values, (arrived_at, arrived_firm) = _ORDER.decode(result)
    names = (
        "state",
        "escalated",
        "reopened",
        "round",
        "reported_at",
        "promise_at",
        "done_at",
        "seen_at",
        "price",
        "source",
        "firm",
        "budget",
        "payee",
    )
    fields = dict(zip(names, values, strict=True))
    fields |= {"state": State(fields["state"]), "arrived_at": arrived_at, "arrived_firm": arrived_firm}
    return Order(**fields)


def terms(to: str) -> Call:
    """What was fixed at deployment."""
    return _TERMS.call(to)


def parse_terms(result: bytes) -> Terms:
    """The result of `terms`."""
    return by_field(Terms, _TERMS.decode(result)[0])


def fault(to: str, *, quantity: str) -> Call:
    """Which values of a quantity are a machine's report, and which its confirmation."""
    return _FAULT.call(to, padded(quantity))


def parse_fault(result: bytes) -> tuple[int, int]:
    """The result of `fault`."""
    faulty, sound = _FAULT.decode(result)
    return faulty, sound


def last_orders(to: str, *, source: bytes) -> Call:
    """The machine's last order by its source; zero where there is none."""
    return _LAST_ORDERS.call(to, source)


def parse_last_orders(result: bytes) -> bytes:
    """The result of `last_orders`."""
    value: bytes = _LAST_ORDERS.decode(result)[0]
    return value


def escrowed(to: str) -> Call:
    """Fen that wait for work to be confirmed."""
    return _ESCROWED.call(to)


def parse_escrowed(result: bytes) -> int:
    """The result of `escrowed`."""
    value: int = _ESCROWED.decode(result)[0]
    return value
