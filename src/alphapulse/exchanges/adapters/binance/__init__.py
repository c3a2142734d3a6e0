"""Exchange adapters, Binance: one account over spot and USD-M futures."""
