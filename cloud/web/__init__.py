"""The pages: server-rendered bills, readings and lifts that a browser checks by itself.

May import `contracts` and, from `cloud`, `identity` alone: what pages show comes through `cloud.web.questions`, which
the cloud's store implements. The checks that run in a browser are the readable files of `contracts/js`.
"""

from cloud.web.application import install
from cloud.web.settings import WebSettings

__all__ = ["WebSettings", "install"]
