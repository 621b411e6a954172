"""Tells other programs what happened: signed HTTP messages, at least once, in order, until they are taken.

It may import the store, the chain's events and the settings; nothing but `cloud.service` imports it.
"""

__all__: list[str] = []
