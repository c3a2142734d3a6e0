"""Rebalance: targets, a plan of the fewest trades towards them, and its execution. Pure."""
