"""What is said of an operation beside its route."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cloud.openapi.schemas import ref

__all__ = ["BYTES", "JSON", "Codes", "Content", "Described", "json_of"]

JSON = "application/json"
BYTES: Mapping[str, Any] = {}  # raw bytes have no schema in OpenAPI 3.1

Codes = Mapping[int, Sequence[tuple[str, str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A body: its media types, schema, and a real example as text, as JSON, or as base64 of bytes."""

    schema: Mapping[str, Any]
    media: tuple[str, ...] = (JSON,)
    example: Any = None
    example_base64: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One operation."""

    answers: Mapping[int, tuple[str, Content | None]]
    refusals: Codes = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    request: Content | None = None
    reads_json: bool = False  # FastAPI parses its body, and answers 422 to one that does not fit
    security: Sequence[str] = ()  # "" stands for nobody in particular


def json_of(name: str, example: Any) -> Content:
    """A body of a named schema, with an example."""
    return Content(schema=ref(name), example=example)
