"""Billing: from boundary entries to a period's draft, from the operator's posted bills to debits and answered
challenges.
"""

__all__: list[str] = []
