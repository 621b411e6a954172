"""Who somebody is and what they may do: accounts, roles, passkeys, sessions, programs' tokens, and one table of rules.

Keeps no names. May import the store and `contracts`; pages and API ask it, and it asks neither.
"""
