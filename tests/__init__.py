"""Mirrors the rooms; beside them end_to_end/, faults/ and bench/. May import every room; nothing imports it."""
