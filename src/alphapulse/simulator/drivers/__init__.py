"""Simulated exchange, drivers: where prices come from, and how fast their time passes."""
