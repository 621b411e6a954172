"""The store of a cloud with the keys of what belongs to households: the way whoever reads or writes bills opens it."""

from cloud.identity.vault import open_vault
from cloud.settings import CloudSettings
from cloud.store import Store

__all__ = ["open_store"]


def open_store(settings: CloudSettings, url: str | None = None) -> Store:
    """The cloud's store, or another one under the same keys. Raises `SettingsError` for a key file that is wrong."""
    return Store(url or settings.store_url, open_vault(settings.keys_dir, settings.master_key_file))
