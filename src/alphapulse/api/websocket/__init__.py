"""WebSocket Server: what changes, sent as it changes, to as many as listen."""
