"""Domain: everything that must hold before an order may be sent, each check by its name."""
