"""The simulated building: a program of its own that speaks the devices' real protocols over real transports.

What its devices say is a pure function of (seed, device, time), so that after a restart every register goes on where it
was. Run by `minglou building run --config building.toml`; no other room imports it, except for starting it.
"""
