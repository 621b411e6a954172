"""Visits as the cloud handles them: taken from whoever relays them, kept, and put into their gateway's mail.

The cloud is only the postman. It refuses what no gateway would judge; whether a visit happened is the gateway's to say
and the contract's to believe.
"""
