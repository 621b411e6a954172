"""Maintenance as the chain holds it: what Crews, Labels, ServiceAgreements, Counterevidence and WorkOrders say, and
what the cloud has done there because anybody may: visits recorded, fees released, overdue days claimed, orders brought.

The cloud decides nothing here. Each wish is a call that a contract takes from whoever brings it, and takes once.
"""
