"""Backups that are known to work: one moment of the store with the segments beside it, and the drill that really
brings it back and holds every row against that moment.
"""
