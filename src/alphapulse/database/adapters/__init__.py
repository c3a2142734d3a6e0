"""Database Adapters (PostgreSQL, SQLite): what differs between the two engines."""
