"""Security Measures: Authentication, Authorization, API Key Management, Rate Limiting."""
