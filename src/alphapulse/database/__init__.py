"""Database Layer: what must outlive the process, on SQLite or PostgreSQL alike."""
