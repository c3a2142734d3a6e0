"""Venues of the simulated exchange: their paths, fields, limits and messages over one core."""
