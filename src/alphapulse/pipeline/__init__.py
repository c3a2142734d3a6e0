"""Data Pipeline: fetching, processing and storing what the exchanges say."""
