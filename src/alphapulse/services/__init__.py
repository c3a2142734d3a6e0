"""Business Logic: one method per thing a user can do, on the main loop."""
