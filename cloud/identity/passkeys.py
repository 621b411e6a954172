"""Passkeys (WebAuthn): the two ceremonies, with Yubico's python-fido2; challenges and credentials in the store.

A challenge is answered once and within minutes. User verification is required: a stolen phone that nobody unlocks signs
nobody in. Attestation is not asked for, since it would tell which phone somebody has.

Source: W3C Web Authentication Level 2, sections 7.1 and 7.2.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from fido2.server import Fido2Server
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    CollectedClientData,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.identity.people import HeldPasskey
from cloud.store import insert_new, tables

__all__ = ["PASSKEYS_MAX", "Passkeys", "credentials_of", "passkeys_of", "remove", "remove_all"]

PASSKEYS_MAX = 10
_CEREMONY_MS = 5 * 60_000
_CHALLENGE_BYTES = 32


class Passkeys:
    """The relying party of one site."""

    def __init__(self, *, public_url: str, site: str) -> None:
        parts = urlsplit(public_url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        entity = PublicKeyCredentialRpEntity(id=parts.hostname or "localhost", name=site or "Minglou")
        self._server = Fido2Server(entity, verify_origin=lambda origin: origin == self._origin)

    async def begin_registration(
        self, connection: AsyncConnection, *, purpose: str, subject: bytes, user: bytes, label: str, now_ms: int
    ) -> dict[str, Any]:
        """What `navigator.credentials.create` takes, in JSON. `label` is what the phone shows beside the key."""
        challenge = await _new_challenge(connection, purpose, subject, now_ms)
        options, _state = self._server.register_begin(
            PublicKeyCredentialUserEntity(id=user, name=label, display_name=label),
            credentials=await credentials_of(connection, user),
            resident_key_requirement=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
            challenge=challenge,
        )
        return dict(options)

    async def finish_registration(
        self,
        connection: AsyncConnection,
        answer: Mapping[str, Any],
        *,
        purpose: str,
        subject: bytes,
        account: bytes,
        now_ms: int,
    ) -> bool:
        """Keep the passkey that answered; False if it is not what was asked for, or one of too many."""
        try:
            challenge = _challenge_of(answer)
            if not await _take_challenge(connection, challenge, purpose, subject, now_ms):
                return False
            kept = self._server.register_complete(_state(challenge), answer).credential_data
        except (ValueError, KeyError, TypeError, AttributeError):
            return False  # fido2 has no error of its own for what strangers send
        held = await passkeys_of(connection, account)
        if kept is None or len(held) >= PASSKEYS_MAX:
            return False
        row = {"credential_id": kept.credential_id, "account_id": account, "credential": bytes(kept)}
        return await insert_new(connection, tables.passkeys, {**row, "created_at_ms": now_ms})

    async def begin_sign_in(self, connection: AsyncConnection, now_ms: int) -> dict[str, Any]:
        """What `navigator.credentials.get` takes, in JSON. Names nobody: the phone offers the keys that it has."""
        challenge = await _new_challenge(connection, "signin", None, now_ms)
        options, _state = self._server.authenticate_begin(
            user_verification=UserVerificationRequirement.REQUIRED, challenge=challenge
        )
        return dict(options)

    async def finish_sign_in(self, connection: AsyncConnection, answer: Mapping[str, Any], now_ms: int) -> bytes | None:
        """The account whose passkey answered; None if none did."""
        try:
            response = AuthenticationResponse.from_dict(answer)
            assert response is not None
            challenge = response.response.client_data.challenge
            if not await _take_challenge(connection, challenge, "signin", None, now_ms):
                return None
            column = tables.passkeys.c
            query = select(column.account_id, column.credential).where(column.credential_id == response.raw_id)
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                return None
            self._server.authenticate_complete(_state(challenge), [AttestedCredentialData(row.credential)], answer)
        except (ValueError, KeyError, TypeError, AttributeError, AssertionError):
            return None
        used = update(tables.passkeys).where(tables.passkeys.c.credential_id == response.raw_id)
        await connection.execute(used.values(last_used_at_ms=now_ms))
        return bytes(row.account_id)


async def passkeys_of(connection: AsyncConnection, account: bytes) -> Sequence[HeldPasskey]:
    """An account's passkeys, oldest first."""
    column = tables.passkeys.c
    query = (
        select(column.credential_id, column.created_at_ms, column.last_used_at_ms)
        .where(column.account_id == account)
        .order_by(column.created_at_ms)
    )
    return [
        HeldPasskey(credential=row.credential_id, created_at_ms=row.created_at_ms, last_used_at_ms=row.last_used_at_ms)
        for row in await connection.execute(query)
    ]


async def credentials_of(connection: AsyncConnection, account: bytes) -> Sequence[AttestedCredentialData]:
    """An account's credentials as WebAuthn knows them."""
    column = tables.passkeys.c
    query = select(column.credential).where(column.account_id == account)
    return [AttestedCredentialData(kept) for kept in (await connection.execute(query)).scalars()]


async def remove(connection: AsyncConnection, account: bytes, credential: bytes) -> bool:
    """Remove one of several passkeys; the last one stays, for nobody could open the account again."""
    column = tables.passkeys.c
    held = select(func.count()).select_from(tables.passkeys).where(column.account_id == account)
    if (await connection.execute(held)).scalar_one() < 2:
        return False
    gone = delete(tables.passkeys).where(column.account_id == account, column.credential_id == credential)
    return bool((await connection.execute(gone)).rowcount)


async def remove_all(connection: AsyncConnection, account: bytes) -> None:
    """Remove what was lost, when a recovery has brought a new one."""
    await connection.execute(delete(tables.passkeys).where(tables.passkeys.c.account_id == account))


async def _new_challenge(connection: AsyncConnection, purpose: str, subject: bytes | None, now_ms: int) -> bytes:
    challenge = secrets.token_bytes(_CHALLENGE_BYTES)
    row = {"challenge": _digest(challenge), "purpose": purpose, "subject": subject}
    await connection.execute(insert(tables.ceremonies).values(**row, expires_at_ms=now_ms + _CEREMONY_MS))
    return challenge


async def _take_challenge(
    connection: AsyncConnection, challenge: bytes, purpose: str, subject: bytes | None, now_ms: int
) -> bool:
    column = tables.ceremonies.c
    whose = column.subject.is_(None) if subject is None else column.subject == subject
    asked = (column.challenge == _digest(challenge), column.purpose == purpose, column.expires_at_ms > now_ms, whose)
    return bool((await connection.execute(delete(tables.ceremonies).where(*asked))).rowcount)


def _challenge_of(answer: Mapping[str, Any]) -> bytes:
    return CollectedClientData(websafe_decode(answer["response"]["clientDataJSON"])).challenge


def _state(challenge: bytes) -> dict[str, Any]:
    """What python-fido2 kept between the two halves, had it kept it itself."""
    return {"challenge": websafe_encode(challenge), "user_verification": UserVerificationRequirement.REQUIRED}


def _digest(challenge: bytes) -> bytes:
    return hashlib.sha256(challenge).digest()
