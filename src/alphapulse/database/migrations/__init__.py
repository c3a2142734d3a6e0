"""Migration Management: how a schema becomes the next one, and goes back.

A revision is a module in ``money/`` or ``market/``, written by hand, that says both ways; the test
of the migrations walks it with data on both engines and compares the result with the tables.
"""
