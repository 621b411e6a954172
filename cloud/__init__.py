"""The cloud: receives gateways' signed logs, verifies and stores them, anchors them on chain, prepares bills and
answers people.

It holds no key that can make a reading, a visit, a vote, a tariff or a bill come true; it relays and pays gas. It may
import `contracts` only. Importing this package costs nothing: web3, SQLAlchemy and FastAPI are loaded by the modules
that use them.

The way of a reading: it comes in by `ingest` (through `ingest_log`, where there is one) and is kept in `store`, sealed,
and in `segments`, of which `copies` are handed out. `super_log` gives its log's checkpoint a place, `witnessing` has
witnesses cosign that, `chain` anchors it. `billing` prices it, `questions` reads it for `web`, `exports` writes it out,
and `retention` erases it in the end. Beside the way: `identity` (who may do what), `visits`, `webhooks`, `openapi`,
`operations` and `telemetry`; `sites` and `up` run it all, `backup` and `rebuild` bring it back. `mirror`, `monitor` and
`witness` are programs for others.
"""

__all__: list[str] = []
