"""The operation of people's signed acts about repairs, meters and crews' keys."""

from collections.abc import Mapping

from cloud.openapi.described import Described, json_of

__all__ = ["ACTS"]

_FINISHED = {
    "format": "minglou-act/1",
    "chain_id": "31337",
    "contract": {"name": "WorkOrders", "address": "0x2279b7a0a67db372996a5fab50d91eaa73d2ebe6"},
    "function": "finish",
    "arguments": {
        "order": "0e" * 32,
        "evidence": "e5" * 32,
        "signature": {
            "key_id": "6b" * 32,
            "nonce": "3",
            "deadline": "1801500000",
            "r": "73",
            "s": "11",
            "authenticator_data": "",
            "client_data": "",
        },
    },
}
ACTS: Mapping[tuple[str, str], Described] = {
    ("post", "/v1/relay/act"): Described(
        request=json_of("Act", _FINISHED),
        answers={
            202: (
                "queued, or known already, and where it stands",
                json_of("RelayedAct", {"act": "5e" * 32, "state": "pending", "message": ""}),
            )
        },
        refusals={
            400: [("malformed", "act: WorkOrders has no function 'finish_'; send one minglou-act/1")],
            403: [("not_relayed", "WorkOrders.lapse is not relayed here; `minglou chain submit` sends it")],
            413: [("too_large", "the body passes 131072 bytes; send less at once")],
            422: [
                ("wrong_place", "it is for WorkOrders at 0x… on chain 1; this site's is 0x… on 31337"),
                ("refused", "WorkOrders refuses this finish now: work_orders: order is in another state"),
            ],
            429: [
                (
                    "too_many",
                    "this key has sent 30 acts today; 2 of its acts wait, and 2 of all keys; send it again later",
                )
            ],
            503: [("no_chain", "this cloud follows no chain")],
        },
    ),
}
