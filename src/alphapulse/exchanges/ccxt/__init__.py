"""CCXT Library Integration: one exchange class loaded at a time, over our own transport."""
