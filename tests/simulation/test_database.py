"""The database in memory answers the cards that the two real ones answer."""

from collections.abc import Callable
from inspect import getmembers, iscoroutinefunction, signature
from typing import Any

import pytest

from tests.builders import make_intent
from tests.integration.database import test_ledger as ledger_cards
from tests.integration.database import test_repositories as repository_cards
from tests.integration.database import test_trading as trading_cards
from tests.simulation.database import MemoryDatabase
from tests.simulation.disk import Disk


def _cards() -> dict[str, Callable[..., Any]]:
    """Every card of trading, and those of orders, fills, the ledger, balances and positions."""
    every = dict(getmembers(trading_cards, iscoroutinefunction))
    for name in (
        "test_a_full_report_removes_what_is_absent_from_its_own_wallets",
        "test_a_partial_report_touches_only_what_it_names",
        "test_positions_that_are_no_longer_listed_are_closed",
        "test_a_position_of_quantity_zero_is_closed",
        "test_an_order_only_moves_forward",
        "test_one_batch_may_tell_an_order_more_than_once",
        "test_a_poll_does_not_forget_what_was_known_of_an_order",
        "test_equal_order_numbers_of_two_symbols_are_two_orders",
        "test_a_fill_is_new_only_once",
        "test_a_cursor_comes_back_with_or_without_a_symbol",
    ):
        every[name] = getattr(repository_cards, name)
    for name in (
        "test_an_entry_is_new_only_once",
        "test_of_an_entry_that_is_told_differently_the_first_version_stays",
        "test_a_fill_and_the_fee_that_is_told_later_are_recorded_with_it",
    ):
        every[name] = getattr(ledger_cards, name)
    return {name: card for name, card in every.items() if name.startswith("test_")}


@pytest.mark.parametrize("name", _cards())
async def test_the_memory_answers_as_the_databases_do(name: str) -> None:
    card, database = _cards()[name], MemoryDatabase(Disk())
    (argument,) = signature(card).parameters
    if argument == "trading":
        async with database.begin() as tx:
            await tx.orders.add(trading_cards.OURS)
            await tx.intents.add(make_intent())
            await tx.orders.save(trading_cards.SENDING)
    await card(database)
