"""DL/T 645-2007, the electricity meters' protocol on RS-485: frames, the bus's state machine, jobs, discovery.

Source: DL/T 645-2007 (sections are cited where they apply). Nothing here opens a port or reads a clock.
"""
