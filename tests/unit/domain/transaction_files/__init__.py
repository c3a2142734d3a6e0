"""Transactions in files."""
