"""Tests of the Vyper contracts on a development chain."""
