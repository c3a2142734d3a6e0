"""Query Builders: the read side, in pages."""
