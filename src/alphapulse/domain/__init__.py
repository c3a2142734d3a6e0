"""Domain: business words and rules. No I/O, no clock, no framework."""
