"""Who may use which route: one table, enforced before any route runs. A route that is not in it does not start.

What belongs to one household is asked twice: here by role, and where it is read by flat (`cloud.questions`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cloud.identity.roles import Role
from cloud.identity.tokens import Scope

__all__ = ["RULES", "Gate", "Rule", "rule_of"]

_M, _C, _R, _O = Role.MANAGER, Role.COMMITTEE, Role.REGULATOR, Role.OPERATOR


class Gate(StrEnum):
    """What opens a route."""

    EVERYBODY = "everybody"
    ROLES = "roles"  # a session in one of the rule's roles
    TOKEN = "token"  # noqa: S105 - a program's token with the rule's scope
    OWN = "own"  # a credential that the route itself asks for: a gateway's, a copy's
    SIGNED = "signed"  # what is sent proves itself, whoever brings it


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one route asks of whoever uses it."""

    gate: Gate
    roles: frozenset[Role] = frozenset()
    scope: Scope | None = None
    is_act: bool = False  # not in a session that a one-time code opened

    def admits(self, role: Role | None) -> bool:
        """Whether somebody with this role, or the public, gets past the table."""
        if self.gate is Gate.ROLES:
            return role in self.roles
        return self.gate in (Gate.EVERYBODY, Gate.SIGNED)


_EVERYBODY, _OWN, _SIGNED = Rule(gate=Gate.EVERYBODY), Rule(gate=Gate.OWN), Rule(gate=Gate.SIGNED)
_HOUSEHOLD = frozenset({Role.OWNER, Role.TENANT})


def _reads(*roles: Role) -> Rule:
    return Rule(gate=Gate.ROLES, roles=frozenset(roles or Role))


def _acts(*roles: Role) -> Rule:
    return Rule(gate=Gate.ROLES, roles=frozenset(roles or Role), is_act=True)


RULES: Mapping[tuple[str, str], Rule] = {
    # The way in.
    ("GET", "/"): _EVERYBODY,
    ("GET", "/home"): _reads(),
    ("GET", "/signin"): _EVERYBODY,
    ("POST", "/signin"): _EVERYBODY,
    ("POST", "/signin/passkey/begin"): _EVERYBODY,
    ("POST", "/signin/passkey"): _EVERYBODY,
    ("POST", "/signin/code"): _EVERYBODY,
    ("GET", "/join"): _EVERYBODY,
    ("POST", "/join/begin"): _EVERYBODY,
    ("POST", "/join"): _EVERYBODY,
    ("POST", "/join/codes"): _EVERYBODY,
    ("POST", "/signout"): _EVERYBODY,
    ("POST", "/preferences"): _EVERYBODY,
    # One's own access.
    ("GET", "/account"): _reads(),
    ("POST", "/account/signout"): _reads(),
    ("POST", "/account/role"): _acts(),
    ("POST", "/account/roles"): _acts(),
    ("POST", "/account/passkeys/begin"): _acts(),
    ("POST", "/account/passkeys"): _acts(),
    ("POST", "/account/passkeys/remove"): _acts(),
    ("POST", "/account/codes"): _acts(),
    ("POST", "/account/invitations/stop"): _acts(),
    # Others' access, by who looks after it.
    ("GET", "/people"): _reads(Role.OWNER, _M, _C),
    ("POST", "/people/invitations"): _acts(Role.OWNER, _M, _C),
    ("POST", "/people/invitations/stop"): _acts(Role.OWNER, _M, _C),
    ("POST", "/people/recover"): _acts(_M, _C),
    ("POST", "/people/end"): _acts(Role.OWNER, _M, _C),
    ("GET", "/tokens"): _reads(_M, _C, _R, _O),
    ("POST", "/tokens"): _acts(_M, _C, _R, _O),
    ("POST", "/tokens/revoke"): _acts(_M, _C, _R, _O),
    ("GET", "/audit"): _reads(_M, _C, _R, _O),
    ("GET", "/audit/checkpoint"): _EVERYBODY,
    # A household's own.
    ("GET", "/bills/{door}"): _reads(*_HOUSEHOLD),
    ("GET", "/bills/{door}/{period}"): _reads(*_HOUSEHOLD),
    ("GET", "/bills/{door}/{period}/bill.json"): _reads(*_HOUSEHOLD),
    ("GET", "/bills/{door}/{period}/lines/{number}"): _reads(*_HOUSEHOLD),
    ("GET", "/bills/{door}/{period}/lines/{number}/dispute"): _reads(Role.OWNER),
    ("POST", "/bills/{door}/{period}/lines/{number}/dispute"): _acts(Role.OWNER),
    # Readings: lifts' and gateways' are everybody's, the others are asked for entry by entry.
    ("GET", "/readings/{origin:path}/{index}/evidence.json"): _EVERYBODY,
    ("GET", "/readings/{origin:path}/{index}"): _EVERYBODY,
    # The site.
    ("GET", "/lifts"): _EVERYBODY,
    ("GET", "/lifts/{name}"): _EVERYBODY,
    ("GET", "/verify"): _EVERYBODY,
    ("GET", "/trust"): _EVERYBODY,
    ("GET", "/trust.json"): _EVERYBODY,
    ("GET", "/site"): _reads(_M, _C, _R, _O),
    ("GET", "/balance"): _reads(*_HOUSEHOLD, _M, _C, _R, _O),
    # Programs.
    ("GET", "/healthz"): _EVERYBODY,
    ("GET", "/readyz"): _EVERYBODY,
    ("GET", "/metrics"): Rule(gate=Gate.OWN),  # this machine, or a token with metrics:read
    ("GET", "/v1/status"): _EVERYBODY,
    ("GET", "/v1/evidence/{origin:path}/{index}"): _EVERYBODY,  # a household's with a token alone
    ("GET", "/v1/logs/{origin:path}/entries"): Rule(gate=Gate.TOKEN, scope=Scope.ENTRIES),
    ("GET", "/v1/bills/{period}"): _EVERYBODY,  # how many are held
    ("POST", "/v1/bills/{period}/units"): _SIGNED,  # only what leads to the root on chain
    ("GET", "/v1/bills/{period}/units/{unit_index}"): Rule(gate=Gate.TOKEN, scope=Scope.BILLS),
    ("GET", "/v1/bills/{period}/units/{unit_index}/derivations"): Rule(gate=Gate.TOKEN, scope=Scope.BILLS),
    ("GET", "/v1/bills/{period}/units/{unit_index}/keys"): Rule(gate=Gate.TOKEN, scope=Scope.BILLS),
    ("POST", "/v1/bills/{period}/volumes"): _SIGNED,  # only what makes the table on chain
    ("POST", "/v1/bills/{period}/compare"): _SIGNED,
    ("GET", "/v1/exports/{what}.{form}"): _EVERYBODY,  # what the asker may see; a household's to nobody else
    ("POST", "/v1/relay/challenge"): _SIGNED,
    ("POST", "/v1/relay/withdraw"): _SIGNED,
    ("POST", "/v1/cut-off/{service}"): _EVERYBODY,  # refused, always
    ("POST", "/v1/visits"): _SIGNED,
    ("GET", "/v1/visits/{digest}"): _EVERYBODY,
    # Gateways and copies, each with its own credential.
    ("POST", "/v1/logs/{origin:path}/entries"): _OWN,
    ("GET", "/v1/logs/{origin:path}"): _OWN,
    ("GET", "/v1/gateways/{origin:path}/mail"): _OWN,
    ("GET", "/v1/copies/logs"): _OWN,
    ("GET", "/v1/copies/frames/{origin:path}"): _OWN,
    ("POST", "/v1/copies/acknowledgements"): _OWN,
    # Logs' hashes: salted, they tell nothing.
    ("GET", "/log/checkpoint"): _EVERYBODY,
    ("GET", "/log/checkpoint/{size}"): _EVERYBODY,
    ("GET", "/log/tile/{path:path}"): _EVERYBODY,
    ("GET", "/v1/logs/{origin:path}/checkpoint"): _EVERYBODY,
    ("GET", "/v1/logs/{origin:path}/checkpoint/{size}"): _EVERYBODY,
    ("GET", "/v1/logs/{origin:path}/tile/{path:path}"): _EVERYBODY,
}


def rule_of(method: str, path: str) -> Rule | None:
    """The rule of a route by its path as declared; HEAD is asked as GET."""
    return RULES.get(("GET" if method == "HEAD" else method, path))
