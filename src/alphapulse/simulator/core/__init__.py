"""Simulated exchange, core: book, accounts and clock. No I/O; integers inside the book."""
