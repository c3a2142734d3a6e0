"""Domain: transactions in files. Our own format, other trackers' formats, and what one brings."""
