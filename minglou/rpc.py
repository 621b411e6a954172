"""A chain node over HTTP, asked with the standard library alone: what `minglou verify --rpc URL` talks to."""

import itertools
import json
import urllib.request
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from contracts.errors import RpcError

ANSWER_BYTES_MAX = 4 * 1024 * 1024


class HttpRpc:
    """JSON-RPC 2.0 over HTTP(S), one question at a time. Satisfies `contracts.onchain.Rpc`."""

    def __init__(self, url: str, timeout_seconds: float = 10.0) -> None:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise RpcError(f"{url!r} is no address of a node; write http://HOST:PORT or https://HOST")
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._numbers = itertools.count(1)

    def __call__(self, method: str, parameters: list[Any]) -> Any:
        """The result of one call.

        Raises:
            RpcError: the node cannot be reached, answers no JSON-RPC, or answers with an error.
        """
        number = next(self._numbers)
        question = {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
        request = urllib.request.Request(  # noqa: S310 - the scheme is http or https, as checked above
            self._url, data=json.dumps(question).encode(), headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_seconds) as response:  # noqa: S310 - as above
                answer = json.loads(response.read(ANSWER_BYTES_MAX))
        except (OSError, HTTPException, ValueError) as error:
            raise RpcError(f"the node at {self._url} does not answer {method}: {error}") from error
        if not isinstance(answer, dict) or answer.get("id") != number or ("result" in answer) == ("error" in answer):
            raise RpcError(f"the node at {self._url} answers {method} with no JSON-RPC; try another node")
        if "error" in answer:
            raise RpcError(f"the node at {self._url} refuses {method}: {str(answer['error'])[:200]}")
        return answer["result"]
