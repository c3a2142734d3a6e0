"""Simulated exchange: Binance USD-M futures over the core."""
