"""The chain side: outbox and sender, follower, what the contracts say, deployment. Only `client`, `sender` and `deploy`
load web3.
"""

__all__: list[str] = []
