"""Domain: performance. What net worth did, apart from what was paid in and taken out."""
