"""Business Logic, rebalancing: a plan from what is known now, its execution, and target sets."""
