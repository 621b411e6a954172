"""Bluetooth Low Energy: sensors that advertise what they measure, heard through bleak and BlueZ."""

__all__: list[str] = []
