"""Data Processors: what is checked, folded and stored after it was received."""
