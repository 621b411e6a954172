"""The relayer's (or operator's) secp256k1 key."""

import sys
from typing import TYPE_CHECKING, Any

from cloud.errors import SettingsError

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = ["SigningKey"]


class SigningKey:
    """A secp256k1 key that signs transactions; its secret never leaves this object."""

    def __init__(self, secret: str) -> None:
        from eth_account import Account

        sys.setrecursionlimit(1000)  # py_ecc raises it to 100,000, where deep JSON would overflow the C stack
        try:
            self._account: LocalAccount = Account.from_key(secret)
        except Exception as error:
            raise SettingsError(
                "the key file holds no 32-byte secp256k1 key in hex; check that it is the right file"
            ) from error

    @property
    def address(self) -> str:
        return str(self._account.address)

    def sign(self, transaction: dict[str, Any]) -> tuple[bytes, str]:
        """Raw bytes and hash of the signed transaction."""
        from eth_utils.address import to_checksum_address

        addressed = dict(transaction)
        if "to" in transaction:
            addressed["to"] = to_checksum_address(transaction["to"])
        signed = self._account.sign_transaction(addressed)
        return bytes(signed.raw_transaction), "0x" + bytes(signed.hash).hex()
