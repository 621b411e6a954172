"""What devices say: profiles of device families, pure codecs from bytes to readings, and the simulated building.

Codecs do no I/O: they take bytes and the time, and give readings, or bytes to send. A device family is a TOML profile,
never code. `devices.simulated` is a program of its own, imported by nobody but `minglou building`. This room imports
`contracts` only.
"""
