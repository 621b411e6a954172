"""A corpus of maintenance visits, honest and faked: how people really cheat, played on a lift that obeys physics.

It is written from published cases and before any rule that it judges. `world` holds people, phones, buildings and
pictures; `machine` what the lift lived through and its module told; `visits` the honest crews and `cheats` the eight
classes of fakes; `corpus` draws them from seeds. Seeds below 1,000,000 are the train half, which rules may be fitted
to; `held_out` is the other half, with modules that no rule has met.
"""
