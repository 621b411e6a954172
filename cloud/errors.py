"""The cloud's errors. Every message names the thing, the values and what to do."""

__all__ = [
    "ArchiveError",
    "BackupError",
    "BillingError",
    "ChainError",
    "CloudError",
    "IdentityRefused",
    "IngestLogError",
    "IngestRefused",
    "MirrorError",
    "RebuildError",
    "SettingsError",
    "StoreError",
]


class CloudError(Exception):
    """Base of everything that the cloud raises on purpose."""


class SettingsError(CloudError):
    """A settings file, key file or directory file is missing or wrong."""


class StoreError(CloudError):
    """The database is missing something that must be there, or holds something that cannot be."""


class ArchiveError(CloudError):
    """Segments cannot be written or read: the disk is full, or a file is damaged."""


class RebuildError(CloudError):
    """The derived tables cannot be rebuilt from what is here."""


class BackupError(CloudError):
    """A backup cannot be taken or brought back, or what came back is not what was there."""


class MirrorError(CloudError):
    """A mirror cannot fetch, verify or keep what the cloud shows it."""


class ChainError(CloudError):
    """The chain or its RPC endpoint answered something that we cannot go on with."""


class IngestLogError(CloudError):
    """The replicated ingest log cannot be reached, lacks its quorum, or is set up otherwise than the settings say."""


class BillingError(CloudError):
    """A period cannot be drafted, posted or accepted."""


class IdentityRefused(CloudError):
    """Somebody is not who they must be, or may not do this; nothing of it is stored. `code` is the stable word."""

    def __init__(self, status: int, code: str, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


class IngestRefused(CloudError):
    """A batch is refused; nothing of it is stored.

    `status` is the HTTP status, `code` the stable word for programs, `size` what the cloud holds of this log (entries),
    `retry_after` whole seconds, only with 429 and 503.
    """

    def __init__(self, status: int, code: str, message: str, *, size: int = 0, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.size = size
        self.retry_after = retry_after
