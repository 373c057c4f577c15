"""Measurements, one command each: ``python -m benchmarks NAME`` (or ``make bench ARGS=NAME``).

Performance is measured here and never asserted in tests. Each prints a table with what it ran on.
"""
