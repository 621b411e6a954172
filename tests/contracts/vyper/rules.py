"""Static rules over the syntax tree that Vyper annotates: what a function does, in the order in which it does it.

Module functions and internal functions are followed into, so a rule holds over a whole external function and not only
over the lines that stand in it. A loop's body is walked twice, and both sides of a condition.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from vyper import ast as vy_ast
from vyper.compiler.input_bundle import FilesystemInputBundle
from vyper.compiler.phases import CompilerData
from vyper.compiler.settings import Settings
from vyper.semantics.data_locations import DataLocation
from vyper.semantics.types.function import ContractFunctionT

from contracts.vyper.compile import SOURCES

STATE = (DataLocation.STORAGE, DataLocation.TRANSIENT)
# Builtins that hand control to other code; raw_call only without is_static_call=True.
LEAVING = {
    "raw_call",
    "send",
    "raw_create",
    "create_from_blueprint",
    "create_minimal_proxy_to",
    "create_copy_of",
}
# Internal functions that hold a person's or a gateway's signature against a key.
SIGNATURE_CHECKS = re.compile(r"^_(is_signed\w*|verify_\w*signature\w*|recover\w*)$")
STORED_LOOP_MAX = 64


@dataclass
class Deeds:
    """What an external function was seen to do, and where it did it in the wrong order."""

    writes: bool = False
    logs: bool = False
    asks_sender: bool = False
    asks_signature: bool = False
    writes_after_call: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Text:
    """The words of one refusal and the file that says them."""

    path: Path
    line: int
    reason: str | None


@cache
def tree_of(contract: str, folder: Path = SOURCES) -> Any:
    """The annotated syntax tree of a contract."""
    bundle = FilesystemInputBundle([SOURCES, folder])
    data = CompilerData(bundle.load_file(f"{contract}.vy"), bundle, settings=Settings())
    return data.annotated_vyper_module


def external_functions(tree: Any) -> Iterator[ContractFunctionT]:
    """Every external function that the contract has, those that it exports from modules too."""
    for function in tree._metadata["type"].exposed_functions:
        if function.ast_def is not None and isinstance(function.ast_def, vy_ast.FunctionDef):
            yield function


def deeds_of(function: ContractFunctionT) -> Deeds:
    """Walk the function, and everything internal that it calls."""
    walk = _Walk()
    walk.block(function.ast_def.body, called=False)
    return walk.deeds


class _Walk:
    def __init__(self) -> None:
        self.deeds = Deeds()
        self._seen: dict[tuple[int, bool], bool] = {}

    def block(self, statements: Iterable[Any], *, called: bool) -> bool:
        """Whether foreign code may have run once these statements are done."""
        for statement in statements:
            called = self._statement(statement, called)
        return called

    def _statement(self, node: Any, called: bool) -> bool:
        if isinstance(node, vy_ast.If):
            called = self._condition(node.test, called)
            return self.block(node.body, called=called) | self.block(node.orelse, called=called)
        if isinstance(node, vy_ast.For):
            called = self._expression(node.iter, called)
            for _ in range(2):
                called = self.block(node.body, called=called)
            return called
        if isinstance(node, vy_ast.Assert):
            return self._condition(node.test, called)
        if isinstance(node, vy_ast.Assign | vy_ast.AugAssign | vy_ast.AnnAssign):
            if node.value is not None:
                called = self._expression(node.value, called)
            return self._target(node.target, called)
        if isinstance(node, vy_ast.Log):
            self.deeds.logs = True
        for child in node.get_children():
            called = self._expression(child, called)
        return called

    def _condition(self, node: Any, called: bool) -> bool:
        self.deeds.asks_sender |= _names_sender(node)
        return self._expression(node, called)

    def _target(self, node: Any, called: bool) -> bool:
        if isinstance(node, vy_ast.Tuple):
            for part in node.elements:
                called = self._target(part, called)
            return called
        called = self._expression(node, called)
        if node._expr_info.location in STATE:
            self._write(node, called)
        return called

    def _write(self, node: Any, called: bool) -> None:
        self.deeds.writes = True
        if called:
            self.deeds.writes_after_call.add(
                f"{Path(node.module_node.path).name}:{node.lineno} {node.node_source_code}"
            )

    def _expression(self, node: Any, called: bool) -> bool:
        if isinstance(node, vy_ast.Call):
            return self._call(node, called)
        for child in node.get_children():
            called = self._expression(child, called)
        if isinstance(node, vy_ast.ExtCall):
            return True
        if isinstance(node, vy_ast.StaticCall):
            # A question about the sender to another contract, such as has_role(role, msg.sender).
            self.deeds.asks_sender |= _names_sender(node)
        if isinstance(node, vy_ast.Compare):
            self.deeds.asks_sender |= _names_sender(node)
        return called

    def _call(self, node: Any, called: bool) -> bool:
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
            called = self._expression(argument, called)
        function = node.func._metadata.get("type")
        if isinstance(function, ContractFunctionT) and function.is_internal:
            return self._inner(function, called)
        name = getattr(node.func, "attr", None) or getattr(node.func, "id", "")
        if name in ("append", "pop") and node.func.value._expr_info.location in STATE:
            self._write(node.func.value, called)
        if name in LEAVING:
            static = any(keyword.arg == "is_static_call" for keyword in node.keywords)
            return called or not static
        return called

    def _inner(self, function: ContractFunctionT, called: bool) -> bool:
        if SIGNATURE_CHECKS.match(function.name):
            self.deeds.asks_signature = True
        key = (id(function.ast_def), called)
        if key not in self._seen:
            self._seen[key] = called
            self._seen[key] = self.block(function.ast_def.body, called=called)
        return self._seen[key]


def _names_sender(node: Any) -> bool:
    found = node.get_descendants(vy_ast.Attribute, {"attr": "sender"}, include_self=True)
    return any(getattr(attribute.value, "id", None) == "msg" for attribute in found)


def modules_of(tree: Any) -> list[Any]:
    """The contract's own tree and those of the modules that it imports, directly or not."""
    found = {tree.path: tree}
    waiting = [tree]
    while waiting:
        for info in waiting.pop()._metadata["type"].imported_modules.values():
            inner = info.module_t._module
            if inner.path not in found:
                found[inner.path] = inner
                waiting.append(inner)
    return list(found.values())


def loose_signature_checks(tree: Any) -> Iterator[str]:
    """Signature checks whose answer decides anything but whether to go on: a verifier without gas says no, too."""
    for module in modules_of(tree):
        for node in module.get_descendants(vy_ast.Call):
            function = node.func._metadata.get("type")
            if not isinstance(function, ContractFunctionT) or not SIGNATURE_CHECKS.match(function.name):
                continue
            within = node.get_ancestor(vy_ast.FunctionDef)
            if node.get_ancestor(vy_ast.Assert) is None and not SIGNATURE_CHECKS.match(within.name):
                yield f"{Path(module.path).name}:{node.lineno}"


def refusals(tree: Any) -> Iterator[Text]:
    """Every assertion and every raise of the contract and its modules."""
    for module in modules_of(tree):
        for node in module.get_descendants((vy_ast.Assert, vy_ast.Raise)):
            said = node.msg if isinstance(node, vy_ast.Assert) else node.exc
            yield Text(Path(module.path), node.lineno, getattr(said, "value", None))


def loops(tree: Any) -> Iterator[tuple[str, int | None]]:
    """Every loop of the contract and its modules: where it is, and the most rounds that it can take."""
    for module in modules_of(tree):
        for node in module.get_descendants(vy_ast.For):
            yield f"{Path(module.path).name}:{node.lineno}", _rounds_max(node)


def _rounds_max(node: Any) -> int | None:
    over = node.iter
    if isinstance(over, vy_ast.Call) and getattr(over.func, "id", "") == "range":
        for keyword in over.keywords:
            if keyword.arg == "bound":
                return _number(keyword.value)
        numbers = [_number(argument) for argument in over.args]
        if None in numbers:
            return None
        return int(numbers[-1] or 0) - int(numbers[0] or 0 if len(numbers) > 1 else 0)
    if isinstance(over, vy_ast.List):
        return len(over.elements)
    # A storage array is loaded slot by slot, so a long one is as bad as one without a bound.
    most = int(over._metadata["type"].count)
    return None if over._expr_info.location in STATE and most > STORED_LOOP_MAX else most


def _number(node: Any) -> int | None:
    folded = node.get_folded_value() if node.has_folded_value else node
    return folded.value if isinstance(folded, vy_ast.Int) else None
