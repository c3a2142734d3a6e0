"""Crashes: the order path under kill -9 and power cuts, on both databases."""
