"""Unit tests of the simulated exchange."""
