"""What identity hands out: who is signed in, what was granted, what was invited. Shapes only."""

from dataclasses import dataclass

from cloud.identity.roles import Role, Strength

__all__ = ["Grant", "HeldPasskey", "Invitation", "Invited", "SignedIn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One role that an account holds: at the site, and for a unit or a firm where the role has one."""

    number: int
    account: bytes  # 16 random bytes, nobody's name
    role: Role
    unit: bytes | None  # the unit's alias
    firm: str | None
    granted_at_ms: int
    ended_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """The person behind a session."""

    grant: Grant
    strength: Strength
    opened_at_ms: int
    idle_until_ms: int  # ends then, unless somebody uses it before


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """What a code opens. With `account` it gives that account a new passkey instead of making one."""

    digest: bytes
    role: Role
    unit: bytes | None
    firm: str | None
    account: bytes | None
    created_by: bytes | None
    created_at_ms: int
    valid_from_ms: int
    expires_at_ms: int

    def is_ripe(self, now_ms: int) -> bool:
        return self.valid_from_ms <= now_ms < self.expires_at_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """An invitation and its code, which is shown this once."""

    code: str
    invitation: Invitation


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPasskey:
    """One passkey of an account."""

    credential: bytes
    created_at_ms: int
    last_used_at_ms: int | None
