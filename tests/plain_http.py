"""Clients of our own servers, which speak plain HTTP on this machine."""

import ssl

__all__ = ["NO_TLS"]

# For `verify=`: without it httpx reads the list of certificate authorities for each client and for each `httpx.get`,
# which costs more than the request.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
