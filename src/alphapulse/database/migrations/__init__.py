"""Migration Management: how a schema becomes the next one, and goes back."""
