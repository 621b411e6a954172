"""Tests of the formats and the verifier."""
