"""AlphaPulse: everything you hold and trade on crypto exchanges, in one place."""
