"""Migration Management: the line of the market store, oldest first by file name."""
