"""Alerting System: what a person should know, raised once and resolved once."""
