"""The Vyper contracts and their compilation.

The `.vy` files are the product; `compile` turns them into `build/*.json` with the pinned compiler, for deployment and
tests only: nothing that checks evidence needs a compiler. It may import `contracts`.
"""

__all__: list[str] = []
