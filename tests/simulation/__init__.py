"""Deterministic Simulation: the order, reconcile and sync code of production in a seeded world."""
