"""`minglou provision`: a site from its site file, and the enrolment of its gateways."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from contracts.errors import ContractsError
from provisioning.changes_command import add_changes, run_changes
from provisioning.crew_command import add_crew, run_crew
from provisioning.enrolment import check_claim, parse_identity
from provisioning.errors import KeyFileError, ProvisioningError
from provisioning.files import write_private
from provisioning.names import read_names
from provisioning.plan import apply_steps, plan_site
from provisioning.settings import Places
from provisioning.site import read_site

__all__ = ["add_arguments", "run"]

DONE, FAILED = 0, 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `site check|plan|apply`, `gateway`, `crew`, `labels` and `changes`."""
    words = parser.add_subparsers(dest="word", required=True, metavar="WORD")
    site = words.add_parser("site", help="check a site file, plan what it needs, apply it")
    actions = site.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, says in (
        ("check", "name every mistake with its line and what to write instead"),
        ("plan", "say what apply would do"),
        ("apply", "make keys, names and settings; a second run changes nothing"),
    ):
        action = actions.add_parser(name, help=says)
        action.add_argument("file", type=Path, metavar="FILE", help="the site file")
        if name != "check":
            action.add_argument("--dir", type=Path, required=True, help="where keys, names and settings are kept")
    gateway = words.add_parser("gateway", help="look at what a gateway claims before anyone proposes it")
    gateway.add_argument("file", type=Path, metavar="FILE", help="the site file")
    gateway.add_argument(
        "identity", type=Path, metavar="IDENTITY", help="what `minglou edge identity` printed on the gateway"
    )
    gateway.add_argument("--claim-code", required=True, help="the code on the gateway's screen or status page")
    add_crew(words)
    add_changes(words)
    labels = words.add_parser("labels", help="the codes of the site's devices on a sheet to print")
    labels.add_argument("file", type=Path, metavar="FILE", help="the site file")
    labels.add_argument("--dir", type=Path, required=True, help="where keys, names and settings are kept")
    labels.add_argument("--out", type=Path, required=True, metavar="SHEET", help="the HTML file to write")
    labels.add_argument("--base", help="address of the public pages; https://HOST of the site file without it")
    labels.add_argument("--device", help="the labels of this device alone")


def run(arguments: argparse.Namespace) -> int:
    """Run one action; 0 done, 1 refused with the reason."""
    try:
        word = _WORDS.get(arguments.word)
        if word is not None:
            return word(arguments)
        if arguments.action == "check":
            site = read_site(arguments.file)
            print(
                f"{arguments.file}: no mistakes; {len(site.buildings)} buildings, {len(site.units)} units, "
                f"{len(site.devices)} devices"
            )
            return DONE
        return _plan_or_apply(arguments)
    except (ProvisioningError, ContractsError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return FAILED


def _plan_or_apply(arguments: argparse.Namespace) -> int:
    site = read_site(arguments.file)
    steps = plan_site(site, arguments.file.read_text("utf-8"), Places(arguments.dir.absolute()))
    for step in steps:
        print(f"{'+' if step.is_new else '~'} {step.says}")
    if not steps:
        print("nothing to do: everything is as the site file says")
    if arguments.action == "apply":
        apply_steps(steps)
        print(f"applied: {len(steps)} steps")
    return DONE


def _check_gateway(arguments: argparse.Namespace) -> int:
    identity = parse_identity(arguments.identity.read_text("utf-8"))
    check_claim(identity, read_site(arguments.file), arguments.claim_code)
    print(f"{identity.origin}: the claim fits; key class {identity.key_class}, fingerprint {identity.fingerprint}")
    return DONE


def _print_labels(arguments: argparse.Namespace) -> int:
    from provisioning.labels import label_sheet, labels_of  # the picture's library is none that other words need

    site, names = read_site(arguments.file), read_names(Places(arguments.dir.absolute()).names_file)
    if names is None:
        raise KeyFileError(f"{arguments.dir}: holds no names; `minglou provision site apply` makes the codes")
    found = labels_of(site, names.labels, only=arguments.device)
    sheet = label_sheet(site, found, base=arguments.base or f"https://{site.host}")
    write_private(arguments.out, sheet.encode())  # it holds every code of the site
    print(f"{arguments.out}: {len(found)} labels; print it at 100 %, cut along the lines, lock the spares away")
    return DONE


_WORDS: Mapping[str, Callable[[argparse.Namespace], int]] = MappingProxyType(
    {"gateway": _check_gateway, "crew": run_crew, "labels": _print_labels, "changes": run_changes}
)
