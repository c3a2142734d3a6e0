"""Order Execution: from a durable intent to what the venue made of it, exactly once."""
