"""What no program of this project does: cut off a service because a bill is unpaid.

Debits happen with consent, reminders and late terms as agreed; the property firm may not stop power, water, heat or gas
to collect a fee (Civil Code, article 944), and a utility itself only after notice and a reasonable time (articles 654
and 656). No contract, gateway or cloud has such an action; whoever asks for one is told why.
"""

from typing import NoReturn

from contracts.errors import ContractsError

ARTICLE = "Civil Code, article 944"


class CutOffRefusedError(ContractsError):
    """Somebody asked to stop a service for an unpaid bill."""

    code = "civil_code_944"


def refuse_cut_off(service: str) -> NoReturn:
    """Refuse to stop a service of a unit, always.

    Args:
        service: what was to be stopped, for the message: power, water, heat, gas, lift, access.

    Raises:
        CutOffRefusedError: always.
    """
    raise CutOffRefusedError(
        f"{service} is not cut off to collect a fee: {ARTICLE}. Remind, agree on terms, or go to court; "
        "nothing in Minglou can do otherwise"
    )
