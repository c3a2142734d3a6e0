"""Exchange adapters, Others: any exchange of CCXT, through CCXT's unified methods."""
