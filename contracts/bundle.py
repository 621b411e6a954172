"""The bundle: a signed visit with the filled list and the presence proof that its record's digests name.

A bundle `minglou-visit-bundle/1` is what a phone hands in, a cloud mails to the gateway and a file carries. It is
whole: the list and, where the record names one, the presence proof stand in it and give exactly the record's digests.
A bare signed visit is accepted in its place; then nobody knows its list, and only whole-visit rules can speak for it.
"""

from dataclasses import dataclass
from typing import Any

from contracts.checklist import CHECKLIST_BYTES_MAX, Checklist, checklist_from_json, checklist_to_json
from contracts.detail import canonical_json
from contracts.errors import DetailError
from contracts.fields import Fields, parse_json
from contracts.presence import PRESENCE_BYTES_MAX, Presence, presence_from_json, presence_to_json
from contracts.signed_visit import FORMAT as SIGNED_FORMAT
from contracts.signed_visit import SignedVisit, signed_visit_from_json, signed_visit_to_json
from contracts.visit import NOBODY, Visit, VisitError

FORMAT = "minglou-visit-bundle/1"
BUNDLE_BYTES_MAX = 40 * 1024


class BundleError(VisitError):
    """The parts of a bundle are not those that its record names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A visit as it is handed in. The list stands there unless it was a bare signed visit; no signature is verified."""

    signed: SignedVisit
    checklist: Checklist | None = None
    presence: Presence | None = None

    def __post_init__(self) -> None:
        if self.checklist is None:
            if self.presence is not None:
                raise BundleError("bundle: a presence proof without the filled list; hand in both")
            return
        visit = self.visit
        if self.checklist.digest() != visit.checklist:
            raise BundleError("bundle: the list is not the one that was signed; export the visit again")
        if (self.checklist.plan, self.checklist.visit_class) != (visit.plan, visit.visit_class):
            raise BundleError("bundle: the list follows another pack, or is of another class, than the record says")
        if (self.presence.digest() if self.presence else NOBODY) != visit.presence:
            raise BundleError("bundle: the presence proof is not the one that was signed; export the visit again")
        if self.presence is not None:
            self.presence.check(visit)

    @property
    def visit(self) -> Visit:
        """The record."""
        return self.signed.visit


def bundle_to_json(bundle: Bundle) -> dict[str, Any]:
    """The JSON object, which is also the body of a `visit` message; of a bare signed visit its own."""
    signed = signed_visit_to_json(bundle.signed)
    if bundle.checklist is None:
        return signed
    value = {"format": FORMAT, "signed": signed, "checklist": checklist_to_json(bundle.checklist)}
    if bundle.presence is not None:
        value["presence"] = presence_to_json(bundle.presence)
    return value


def format_bundle(bundle: Bundle) -> bytes:
    """The file's bytes, canonical JSON. Raises `BundleError` if they are more than 40 KB."""
    encoded = canonical_json(bundle_to_json(bundle))
    if len(encoded) > BUNDLE_BYTES_MAX:
        raise BundleError(f"bundle has {len(encoded)} bytes; {BUNDLE_BYTES_MAX} is the limit: shorten the notes")
    return encoded


def parse_bundle(encoded: bytes) -> Bundle:
    """The bundle, or bare signed visit, of a JSON file, laid out as people like; its signatures are not verified.

    Raises:
        VisitError: over 40 KB, not JSON, a field missing, unknown or misspelt, or parts that the record does not name.
    """
    return bundle_from_json(parse_json(encoded, length_max=BUNDLE_BYTES_MAX, what="visit bundle", refuse=BundleError))


def bundle_from_json(value: object) -> Bundle:
    """The bundle of a JSON object; its signatures are not verified. Raises `VisitError`."""
    if isinstance(value, dict) and value.get("format") == SIGNED_FORMAT:
        return Bundle(signed=signed_visit_from_json(value))
    keys = ("format", "signed", "checklist")
    fields = Fields(value, place="", keys=keys, refuse=BundleError, optional=("presence",))
    fields.choice("format", (FORMAT,))
    _check_length(fields.raw("checklist"), "checklist", CHECKLIST_BYTES_MAX)
    presence = None
    if fields.has("presence"):
        _check_length(fields.raw("presence"), "presence", PRESENCE_BYTES_MAX)
        presence = presence_from_json(fields.raw("presence"), place="presence")
    return Bundle(
        signed=signed_visit_from_json(fields.raw("signed")),
        checklist=checklist_from_json(fields.raw("checklist"), place="checklist"),
        presence=presence,
    )


def _check_length(value: object, name: str, length_max: int) -> None:
    try:
        length = len(canonical_json(value))
    except DetailError as error:
        raise BundleError(f"bundle: its {name} is {error}") from error
    if length > length_max:
        raise BundleError(f"bundle: its {name} has {length} bytes; {length_max} is the limit")
