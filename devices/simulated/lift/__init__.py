"""A lift that obeys physics, the people who ride and service it, and the modules that report what it did.

Everything here is a pure function of a seed: no clock, no thread, no socket. What a module publishes comes out of the
machine's state, never out of a story, so that a faked visit leaves exactly the traces that its hands left. May import
`contracts` and the simulation's own chance and calendar.
"""
