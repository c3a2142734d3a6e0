"""FastAPI Application: HTTP and WebSocket for people and programs, and nothing that decides."""
