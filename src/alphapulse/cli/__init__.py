"""Command line: the same product for people at a terminal. Imports stand inside commands, so that
``--help`` is quick."""
