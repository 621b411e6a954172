"""Bringing things into being: site files, keys, enrolment, the settings of every process, and the demo.

May import `contracts` and `devices`; of `edge` and `cloud` only what they publish: their commands, and the files
that they read.
"""

__all__: list[str] = []
