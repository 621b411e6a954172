"""Templates that are read in one language: what a page always says is translated when it is read, not each time."""

import gettext
from pathlib import Path
from typing import Any

from jinja2 import Environment, nodes
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

__all__ = ["SpokenEnvironment"]


class SpokenEnvironment(Environment):
    """Templates of one language. A sentence without figures in it becomes part of the template's own text."""

    def __init__(self, translations: gettext.NullTranslations, **options: Any) -> None:
        super().__init__(**options)
        self._words = _Words(translations)

    def compile(self, source: Any, name: Any = None, filename: Any = None, *rest: Any, **options: Any) -> Any:
        """The code of a template's text, as Jinja's loaders ask for it."""
        if isinstance(source, str):
            source = self._words.visit(self.parse(source, name, None if filename is None else str(Path(filename))))
        return super().compile(source, name, filename, *rest, **options)


class _Words(NodeTransformer):
    """Puts a translation where a template asks for that of a constant."""

    def __init__(self, translations: gettext.NullTranslations) -> None:
        self._translations = translations

    def visit_Call(self, call: nodes.Call) -> nodes.Node:  # noqa: N802 - Jinja names it after the node
        self.generic_visit(call)
        is_plain = len(call.args) == 1 and not (call.kwargs or call.dyn_args or call.dyn_kwargs)
        if not (is_plain and isinstance(call.node, nodes.Name) and call.node.name in ("_", "gettext")):
            return call
        sentence = call.args[0]
        if not isinstance(sentence, nodes.Const):
            return call
        # As Jinja's new style has it: templates are ours, so sentences are markup, and %% stands for %.
        return nodes.Const(Markup(self._translations.gettext(sentence.value)) % {}, lineno=call.lineno)  # noqa: S704
