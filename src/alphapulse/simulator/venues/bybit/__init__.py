"""Bybit v5 of the simulated exchange: spot and linear perpetuals of a unified account."""
