"""Binance spot of the simulated exchange: REST, market streams and the WebSocket API."""
