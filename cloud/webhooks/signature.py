"""The signature of a message, as the Standard Webhooks specification 1.0 writes it, so that receivers need no code of
ours.
"""

import base64
import hashlib
import hmac

__all__ = ["headers_of"]


def headers_of(key: bytes, *, message_id: str, sent_at_s: int, body: bytes) -> dict[str, str]:
    """The headers that let a receiver check who sent `body`, and when.

    Args:
        message_id: the same for every attempt at one message, so that a receiver can drop what it has already.
        sent_at_s: seconds since 1970 of this attempt.
    """
    signed = f"{message_id}.{sent_at_s}.".encode() + body
    mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(sent_at_s),
        "webhook-signature": f"v1,{mac}",
    }
