"""The typed Python face of each contract: builders of calls, parsers of results and events. No I/O, no web3."""

__all__: list[str] = []
