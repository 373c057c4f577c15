"""Tests with thousands of stacks on the doubles, in one process."""
