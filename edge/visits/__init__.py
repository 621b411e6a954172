"""Visits: what the gateway saw of the machines it looks after, and its judgement of the visits that crews signed.

The crew says *I was there and did this*; the machine's own switches and counters say what happened. The gateway logs
both side by side, and the level of agreement. It never refuses to log a visit for being false: a false one is logged
as level 0, for everybody to see.
"""
