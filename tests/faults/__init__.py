"""Seeded faults: processes killed, links cut, disks damaged; nothing acknowledged may be lost or doubled."""
