"""The demo's own error."""

from __future__ import annotations

from provisioning.errors import ProvisioningError

__all__ = ["DemoError"]


class DemoError(ProvisioningError):
    """The demo cannot go on; the message says which part failed, with the end of its log, and what to do."""
