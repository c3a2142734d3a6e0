"""Benchmarks: ratios of CPU time, both sides in one run, never in the default test run."""
