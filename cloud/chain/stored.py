"""The chain as the store holds it: for commands that run beside the serving cloud and ask no node."""

from cloud.chain.events import read_events
from cloud.chain.view import ChainView
from cloud.store import Store

__all__ = ["stored_view"]


async def stored_view(store: Store, chain_id: int) -> ChainView:
    """What the contracts say, as far as the serving cloud has followed them."""
    view = ChainView(chain_id)
    view.rebuild(await read_events(store))
    return view
