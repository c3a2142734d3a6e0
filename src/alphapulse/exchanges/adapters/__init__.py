"""Exchange adapters: Binance, Bybit, Others."""
