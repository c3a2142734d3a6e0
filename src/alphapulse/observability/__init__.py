"""Monitoring and Logging: Structured Logging, Metrics, Error Tracking and Health Checks."""
