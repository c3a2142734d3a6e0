"""Market and private streams of the EXCHANGE INTEGRATION: every message taken, none lost."""
