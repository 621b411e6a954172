"""Roles, and how strongly somebody has shown who they are."""

from enum import StrEnum

__all__ = ["HOUSEHOLD", "INVITES", "OFFICERS", "Role", "Strength"]


class Role(StrEnum):
    """Who somebody is to a site; held by a grant. The public has no role."""

    OWNER = "owner"  # of one unit
    TENANT = "tenant"  # lives in one unit, from a day on
    CREW = "crew"  # serves devices
    FIRM = "firm"  # employs a crew
    MANAGER = "manager"  # of the site
    COMMITTEE = "committee"  # of the owners
    REGULATOR = "regulator"  # reads what is public and what is overdue
    OPERATOR = "operator"  # of this service: bills and tokens


class Strength(StrEnum):
    """How a session was opened."""

    PASSKEY = "passkey"
    LINK = "link"  # a one-time link of the demo, on the machine that it runs on
    CODE = "code"  # a one-time code: reads and does nothing
    TOKEN = "token"  # no session: a household's own program; reads and does nothing  # noqa: S105


HOUSEHOLD = frozenset({Role.OWNER, Role.TENANT})
OFFICERS = frozenset({Role.MANAGER, Role.COMMITTEE, Role.REGULATOR, Role.OPERATOR, Role.FIRM})

INVITES: dict[Role, frozenset[Role]] = {
    Role.OWNER: frozenset({Role.TENANT}),  # of their own unit
    Role.MANAGER: frozenset({Role.OWNER, Role.TENANT, Role.CREW, Role.FIRM}),
    Role.COMMITTEE: frozenset({Role.COMMITTEE, Role.REGULATOR}),
}
"""Who may invite whom on the pages; managers and operators are invited on the machine, by `minglou identity invite`."""
