"""Simulated exchange: what Binance spot and Binance futures have in common."""
