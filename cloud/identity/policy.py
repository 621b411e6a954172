"""Who may use which route: one table, enforced before any route runs. A route that is not in it does not start.

What belongs to one household is asked twice: here by role, and where it is read by flat (`cloud.questions`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cloud.identity.loads import Load
from cloud.identity.roles import HOUSEHOLD, Role
from cloud.identity.tokens import Scope

__all__ = ["RULES", "Gate", "Rule", "is_limited", "load_of", "rule_of"]

_M, _C, _R, _O = Role.MANAGER, Role.COMMITTEE, Role.REGULATOR, Role.OPERATOR
_WORK = (Role.CREW, Role.FIRM, _M, _C, _R)


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
    load: Load | None = None  # None: a read or a write, as its method says

    def admits(self, role: Role | None) -> bool:
        """Whether somebody with this role, or the public, gets past the table."""
        if self.gate is Gate.ROLES:
            return role in self.roles
        return self.gate in (Gate.EVERYBODY, Gate.SIGNED)


_EVERYBODY, _OWN = Rule(gate=Gate.EVERYBODY), Rule(gate=Gate.OWN, load=Load.ELSEWHERE)
_PROBE, _HASHES = Rule(gate=Gate.EVERYBODY, load=Load.ELSEWHERE), Rule(gate=Gate.EVERYBODY, load=Load.HASHES)
_PROOF, _SIGNED = Rule(gate=Gate.EVERYBODY, load=Load.COSTLY), Rule(gate=Gate.SIGNED, load=Load.COSTLY)
_BILL = Rule(gate=Gate.TOKEN, scope=Scope.BILLS, load=Load.COSTLY)


def _reads(*roles: Role) -> Rule:
    return Rule(gate=Gate.ROLES, roles=frozenset(roles or Role))


def _acts(*roles: Role) -> Rule:
    return Rule(gate=Gate.ROLES, roles=frozenset(roles or Role), is_act=True)


RULES: Mapping[tuple[str, str], Rule] = {
    # The way in.
    ("GET", "/"): _EVERYBODY,
    ("GET", "/home"): _reads(),
    ("GET", "/design"): _EVERYBODY,
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
    ("GET", "/account/looks/{index}/evidence.json"): Rule(gate=Gate.ROLES, roles=HOUSEHOLD, load=Load.COSTLY),
    ("POST", "/account/tokens"): _acts(*HOUSEHOLD),
    ("POST", "/account/tokens/revoke"): _acts(*HOUSEHOLD),
    # Others' access, by who looks after it.
    ("GET", "/people"): _reads(Role.OWNER, _M, _C),
    ("POST", "/people/invitations"): _acts(Role.OWNER, _M, _C),
    ("POST", "/people/invitations/stop"): _acts(Role.OWNER, _M, _C),
    ("POST", "/people/recover"): _acts(_M, _C),
    ("POST", "/people/end"): _acts(Role.OWNER, _M, _C),
    ("GET", "/tokens"): _reads(*_WORK, _O),
    ("POST", "/tokens"): _acts(*_WORK, _O),
    ("POST", "/tokens/revoke"): _acts(*_WORK, _O),
    ("GET", "/audit"): _reads(_M, _C, _R, _O),
    ("GET", "/audit/checkpoint"): _HASHES,
    ("GET", "/audit/tile/{path:path}"): _HASHES,
    # A household's own.
    ("GET", "/bills/{door}"): _reads(*HOUSEHOLD),
    ("GET", "/bills/{door}/{period}"): _reads(*HOUSEHOLD),
    ("GET", "/bills/{door}/{period}/bill.json"): Rule(gate=Gate.ROLES, roles=HOUSEHOLD, load=Load.COSTLY),
    ("GET", "/bills/{door}/{period}/bill.pdf"): Rule(gate=Gate.ROLES, roles=HOUSEHOLD, load=Load.EXPORTS),
    ("GET", "/bills/{door}/{period}/lines/{number}"): _reads(*HOUSEHOLD),
    ("GET", "/bills/{door}/{period}/lines/{number}/readings.json"): Rule(
        gate=Gate.ROLES, roles=HOUSEHOLD, load=Load.COSTLY
    ),
    ("GET", "/bills/{door}/{period}/lines/{number}/dispute"): _reads(Role.OWNER),
    ("POST", "/bills/{door}/{period}/lines/{number}/dispute"): _acts(Role.OWNER),
    ("GET", "/bills/{door}/swaps/{digest}"): _reads(Role.OWNER),
    ("GET", "/bills/{door}/swaps/{digest}/swap.json"): _reads(Role.OWNER),
    ("GET", "/bills/{door}/swaps/{digest}/photos/{name}"): _reads(Role.OWNER),
    ("POST", "/bills/{door}/swaps/{digest}"): _acts(Role.OWNER),
    # Readings: lifts' and gateways' are everybody's, the others are asked for entry by entry.
    ("GET", "/readings/{origin:path}/{index}/evidence.json"): _PROOF,
    ("GET", "/readings/{origin:path}/{index}"): _EVERYBODY,
    # Devices: what their codes open.
    ("GET", "/lifts"): _EVERYBODY,
    ("GET", "/lifts/{name}"): _EVERYBODY,
    ("GET", "/flags"): _EVERYBODY,
    ("GET", "/flags/{flag}"): _EVERYBODY,
    ("POST", "/flags/{flag}/explain"): _acts(Role.CREW, Role.FIRM),  # of a firm that the flag concerns
    ("POST", "/flags/{flag}/decide"): _acts(_M, _C),
    ("POST", "/flags/{flag}/bring"): _acts(_M, _C),  # two visits of one person at once, to their contract
    ("GET", "/devices/{name}"): _EVERYBODY,
    ("GET", "/d/{code}"): _EVERYBODY,
    ("POST", "/d/{code}/fault"): _EVERYBODY,  # throttled by address
    ("GET", "/v1/devices/{name}/public"): _EVERYBODY,
    ("GET", "/repairs"): _reads(*HOUSEHOLD),
    ("GET", "/repairs/{name}"): _reads(*HOUSEHOLD),  # and within, of their own flat
    ("GET", "/repairs/{name}/photo"): _reads(*HOUSEHOLD, _M, Role.CREW, Role.FIRM),  # and within, whom it concerns
    ("POST", "/repairs"): _acts(*HOUSEHOLD),
    ("POST", "/repairs/{name}/photo"): _acts(*HOUSEHOLD),
    ("POST", "/repairs/{name}"): Rule(gate=Gate.ROLES, roles=frozenset({Role.OWNER}), is_act=True, load=Load.COSTLY),
    ("GET", "/work"): _reads(*_WORK),
    ("GET", "/orders/{name}"): _reads(*_WORK),  # and within, by the firm that serves the device
    ("GET", "/work.ics"): Rule(gate=Gate.OWN, load=Load.READS),  # such a session, or a token with work:read
    ("GET", "/oversight"): _reads(_M, _C, _R),
    # The site.
    ("GET", "/verify"): _EVERYBODY,
    ("GET", "/checker.html"): _EVERYBODY,
    ("GET", "/trust"): _EVERYBODY,
    ("GET", "/trust.json"): _EVERYBODY,
    ("GET", "/site"): _reads(_M, _C, _R, _O),
    ("GET", "/balance"): _reads(*HOUSEHOLD, _M, _C, _R, _O),
    # The crew app: its files hold no data; what it works from is its firm's.
    ("GET", "/crew"): _EVERYBODY,
    ("GET", "/crew/shell.json"): _EVERYBODY,
    ("GET", "/crew/packs/{digest}"): _EVERYBODY,
    ("GET", "/crew.webmanifest"): _EVERYBODY,
    ("GET", "/crew-worker.js"): _EVERYBODY,
    ("GET", "/v1/crew/work"): _reads(Role.CREW, Role.FIRM, Role.MANAGER),  # who counter-signs needs it as well
    # Programs.
    ("GET", "/healthz"): _PROBE,
    ("GET", "/readyz"): _PROBE,
    ("GET", "/metrics"): _OWN,  # this machine, or a token with metrics:read
    ("GET", "/v1/status"): _EVERYBODY,
    ("GET", "/v1/evidence/{origin:path}/{index}"): _PROOF,  # a household's with a token alone
    ("GET", "/v1/logs/{origin:path}/entries"): Rule(gate=Gate.TOKEN, scope=Scope.ENTRIES),
    ("GET", "/v1/own"): Rule(gate=Gate.TOKEN, scope=Scope.OWN),
    ("GET", "/v1/own/bills/{period}"): Rule(gate=Gate.TOKEN, scope=Scope.OWN, load=Load.COSTLY),
    ("GET", "/v1/bills/{period}"): _EVERYBODY,  # how many are held
    ("POST", "/v1/bills/{period}/units"): _SIGNED,  # only what leads to the root on chain
    ("GET", "/v1/bills/{period}/units/{unit_index}"): _BILL,
    ("GET", "/v1/bills/{period}/units/{unit_index}/derivations"): _BILL,
    ("GET", "/v1/bills/{period}/units/{unit_index}/keys"): _BILL,
    ("POST", "/v1/bills/{period}/volumes"): _SIGNED,  # only what makes the table on chain
    ("POST", "/v1/bills/{period}/compare"): _SIGNED,
    # What the asker may see; a household's to nobody else.
    ("GET", "/v1/exports/{what}.{form}"): Rule(gate=Gate.EVERYBODY, load=Load.EXPORTS),
    # The flat's people by passkey, an operator's token; nobody else.
    ("GET", "/v1/personal.zip"): Rule(gate=Gate.EVERYBODY, load=Load.EXPORTS),
    ("POST", "/v1/relay/challenge"): _SIGNED,
    ("POST", "/v1/relay/withdraw"): _SIGNED,
    ("POST", "/v1/relay/act"): _SIGNED,  # its contract is asked first
    ("POST", "/v1/cut-off/{service}"): _EVERYBODY,  # refused, always
    ("POST", "/v1/visits"): _SIGNED,
    ("GET", "/v1/visits/{digest}"): _EVERYBODY,
    ("POST", "/v1/arrivals"): _SIGNED,
    ("PUT", "/v1/visits/{digest}/swap"): _SIGNED,  # only the swap that a kept visit notes, by one of its keys
    ("PUT", "/v1/visits/{digest}/files/{sha256}"): _SIGNED,  # only photos whose hash a kept visit's crew signed
    ("GET", "/visits/{digest}/files/{sha256}"): _reads(_M, _C, _R, Role.FIRM),  # a firm its own crews' alone; audited
    # Gateways and copies, each with its own credential.
    ("POST", "/v1/logs/{origin:path}/entries"): _OWN,
    ("GET", "/v1/logs/{origin:path}"): _OWN,
    ("GET", "/v1/gateways/{origin:path}/mail"): _OWN,
    ("GET", "/v1/copies/logs"): _OWN,
    ("GET", "/v1/copies/audit-heads"): _OWN,
    ("GET", "/v1/copies/frames/{origin:path}"): _OWN,
    ("POST", "/v1/copies/acknowledgements"): _OWN,
    # Logs' hashes: salted, they tell nothing, but for audit entries of the versions before the salt (decision 0024).
    ("GET", "/log/checkpoint"): _HASHES,
    ("GET", "/log/checkpoint/{size}"): _HASHES,
    ("GET", "/log/tile/{path:path}"): _HASHES,
    ("GET", "/v1/logs/{origin:path}/checkpoint"): _HASHES,
    ("GET", "/v1/logs/{origin:path}/checkpoint/{size}"): _HASHES,
    ("GET", "/v1/logs/{origin:path}/tile/{path:path}"): _HASHES,
}


def load_of(method: str, rule: Rule) -> Load:
    """What a request counts as."""
    return rule.load or (Load.READS if method in ("GET", "HEAD") else Load.WRITES)


def is_limited(method: str, path: str) -> bool:
    """Whether requests to a route are counted by who asks."""
    rule = rule_of(method, path)
    return rule is not None and load_of(method, rule) is not Load.ELSEWHERE


def rule_of(method: str, path: str) -> Rule | None:
    """The rule of a route by its path as declared; HEAD is asked as GET."""
    return RULES.get(("GET" if method == "HEAD" else method, path))
