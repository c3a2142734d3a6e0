"""Data Processors: bookkeeping. Lots and gains, counted from the ledger as it grows."""
