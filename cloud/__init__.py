"""The cloud: receives gateways' signed logs, verifies and stores them, anchors them on chain, prepares bills and
answers people.

It holds no key that can make a reading, a visit, a vote, a tariff or a bill come true; it relays and pays gas. It may
import `contracts` only. Importing this package costs nothing: web3, SQLAlchemy and FastAPI are loaded by the modules
that use them.
"""

__all__: list[str] = []
