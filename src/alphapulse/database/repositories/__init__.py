"""Repository Pattern Implementation: domain objects in and out, rows never leave."""
