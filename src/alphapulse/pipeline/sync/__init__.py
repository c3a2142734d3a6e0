"""Exchange Data Synchronizer: keeps our copy equal to the venues, and says how old it is."""
