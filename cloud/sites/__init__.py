"""Several sites in one process: each with its own settings file, store, keys, accounts, contracts and workers.

Nothing of a site is shared with another but the process: its event loop, its address and its bounds. A request belongs
to the site whose host it names, and meets no other site's code or data. It may import the rest of the cloud; of the
cloud only `cloud.serving`, `cloud.command` and `cloud.up` import it.
"""

from cloud.sites.files import SiteFiles
from cloud.sites.keeper import Keeper

__all__ = ["Keeper", "SiteFiles"]
