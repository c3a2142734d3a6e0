"""Migration Management: the line of the money store, oldest first by file name."""
