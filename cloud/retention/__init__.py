"""Retention: what was kept long enough, or somebody asked to have erased, is erased down to its leaf hash.

Every proof of what is left stays as it was, and that of the erased leaf itself is still given. `periods` says how long
what is kept, `keeper` goes through the store, `requests` is for who is asked to erase something, `record` tells what
was erased. Imports the store and the chain's records; the segments' writer follows what is recorded.
"""
