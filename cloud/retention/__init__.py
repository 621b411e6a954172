"""Retention: what was kept long enough, or somebody asked to have erased, is erased down to its leaf hash.

Every proof of what is left stays as it was, and that of the erased leaf itself is still given. `periods` says how long
what is kept, `keeper` goes through the store, `requests` is for who is asked to erase something, `shredding` destroys
its keys, `returned` does so again in an older database, `record` tells what was erased. Imports the store, the chain's
records and the segments, whose writer follows what is recorded.
"""
