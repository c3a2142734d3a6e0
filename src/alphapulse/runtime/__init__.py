"""Concurrency Model: the only maker of threads and loops, and the only way across them."""
