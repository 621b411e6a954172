"""What can go wrong between us and a chain, by cause: the circuit breaker tells people apart by these."""

from cloud.errors import ChainError

__all__ = ["CallReverted", "Disagreement", "FinalityLost", "NodeRefused", "Unreachable"]


class CallReverted(ChainError):
    """A contract refused a call; the message carries its reason."""


class NodeRefused(ChainError):
    """A node answered with an error of its own: unknown block, unknown method, limit passed."""


class Unreachable(ChainError):
    """Too few endpoints answer for anything to be believed."""


class Disagreement(ChainError):
    """Endpoints contradict each other and no majority stands behind one answer."""


class FinalityLost(ChainError):
    """The endpoints' chain does not hold a block that was final."""
