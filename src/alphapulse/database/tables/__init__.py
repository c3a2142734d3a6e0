"""Database Schema: the tables, one module per schema group."""
