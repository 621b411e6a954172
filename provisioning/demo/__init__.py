"""The demo: every part as a process of its own, one compressed month of one building, then real time."""
