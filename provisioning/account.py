"""One chain account: a secp256k1 key that signs here and never leaves the machine. Needs the `cloud` extra."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["ChainAccount"]

_RECURSION_LIMIT = 1000


class ChainAccount:
    """An account's address and signatures."""

    def __init__(self, secret: bytes) -> None:
        from eth_account import Account  # loaded late: it costs half a second, and gateways never need it

        # py_ecc, which eth_account imports, raises the limit to 100,000; deep JSON would then overflow the C stack.
        sys.setrecursionlimit(_RECURSION_LIMIT)
        self._account = Account.from_key(secret)

    @property
    def address(self) -> str:
        """The checksummed address."""
        return str(self._account.address)

    def sign(self, transaction: dict[str, Any]) -> bytes:
        """The signed transaction's bytes, as they are broadcast."""
        return bytes(self._account.sign_transaction(transaction).raw_transaction)
