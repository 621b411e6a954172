"""Ingest: verifies gateways' batches against log, key and checkpoint, stores them durably, and catches forks."""

from cloud.ingest.ingest import Ingest, IngestLimits
from cloud.ingest.keys import GatewayKey, KeyRing, KeyState

__all__ = ["GatewayKey", "Ingest", "IngestLimits", "KeyRing", "KeyState"]
