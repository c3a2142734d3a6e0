"""Transfers between an account's wallets, as both of Binance's products name and number them."""

from alphapulse.simulator.core.instrument import Category

INTO = {"MAIN_UMFUTURE": Category.LINEAR, "UMFUTURE_MAIN": Category.SPOT}
"""Where the money goes, by type."""

# Numbered apart from everything else that the venue numbers.
_FIRST_ID = 13_000_000_000


def transfer_id(reference: str) -> int:
    """The venue's number of what the core calls so; both wallets' records show it."""
    return _FIRST_ID + int(reference)
