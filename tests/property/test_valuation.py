"""What holds for every portfolio: sums are exact, order does not matter, nothing vanishes."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse.domain.balance import Balance, Wallet
from alphapulse.domain.identifiers import AccountId, Asset, ExchangeId, Symbol
from alphapulse.domain.market import Ticker
from alphapulse.domain.money import EXACT
from alphapulse.domain.portfolio import Holding, Valuation, value_portfolio
from alphapulse.domain.valuation import PriceBook

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ASSETS = ("BTC", "ETH", "SOL", "USDT", "USDC", "EUR", "NIL")
EXCHANGES = ("binance", "bybit")

quantities = st.decimals(
    min_value=0, max_value=Decimal("1e12"), places=8, allow_nan=False, allow_infinity=False
)
prices = st.decimals(min_value=Decimal("1e-8"), max_value=Decimal("1e6"), places=8, allow_nan=False)
holdings = st.builds(
    lambda account, exchange, asset, free, locked, borrowed: Holding(
        AccountId(account),
        ExchangeId(exchange),
        Balance(Wallet.SPOT, Asset(asset), free, locked, borrowed),
        NOW,
    ),
    st.sampled_from(("a", "b", "c")),
    st.sampled_from(EXCHANGES),
    st.sampled_from(ASSETS),
    quantities,
    quantities,
    quantities,
)
tickers = st.builds(
    lambda pair, exchange, price, age_s: Ticker(
        exchange=ExchangeId(exchange),
        symbol=Symbol(f"{pair[0]}/{pair[1]}"),
        occurred_at=NOW - timedelta(seconds=age_s),
        received_at=NOW - timedelta(seconds=age_s),
        last=price,
    ),
    # NIL has no market, whatever happens.
    st.permutations(ASSETS[:-1]).map(lambda assets: assets[:2]),
    st.sampled_from(EXCHANGES),
    prices,
    st.integers(0, 300),
)


def book_of(market: list[Ticker]) -> PriceBook:
    book = PriceBook()
    for ticker in market:
        book.put(ticker)
    return book


def valued(held: list[Holding], market: list[Ticker]) -> Valuation:
    return value_portfolio(held, [], book_of(market), {}, Asset("USDT"), NOW)


@given(st.lists(holdings, max_size=12), st.lists(tickers, max_size=10))
def test_the_total_is_the_sum_of_quantity_times_price_of_every_line(
    held: list[Holding], market: list[Ticker]
) -> None:
    valuation = valued(held, market)

    recomputed = Decimal(0)
    for line in valuation.holdings:
        if line.price is not None:
            balance = line.holding.balance
            quantity = EXACT.subtract(EXACT.add(balance.free, balance.locked), balance.borrowed)
            recomputed = EXACT.add(recomputed, EXACT.multiply(quantity, line.price.value))
    assert (valuation.total or 0) == recomputed


@given(st.lists(holdings, max_size=12), st.lists(tickers, max_size=10))
def test_the_accounts_sum_up_to_the_total(held: list[Holding], market: list[Ticker]) -> None:
    valuation = valued(held, market)

    recomputed = Decimal(0)
    for value in valuation.accounts.values():
        recomputed = EXACT.add(recomputed, value or Decimal(0))
    assert (valuation.total or 0) == recomputed


@given(st.lists(holdings, max_size=12), st.lists(tickers, max_size=10))
def test_a_total_is_unknown_when_something_is_held_and_none_of_it_is_priced(
    held: list[Holding], market: list[Ticker]
) -> None:
    valuation = valued(held, market)

    worth = [line.net for line in valuation.holdings if line.net]
    assert (valuation.total is None) == bool(valuation.unpriced and not worth)


@given(
    st.lists(holdings, max_size=8),
    st.lists(tickers, max_size=8, unique_by=lambda t: (t.exchange, t.symbol)),
    st.randoms(),
)
def test_the_order_in_which_things_arrive_changes_nothing(
    held: list[Holding], market: list[Ticker], random: Random
) -> None:
    before = valued(held, market)
    random.shuffle(held)
    random.shuffle(market)

    after = valued(held, market)

    assert after.total == before.total
    assert after.accounts == before.accounts
    assert after.unpriced == before.unpriced
    sources = {(line.holding, line.price and line.price.source) for line in after.holdings}
    assert sources == {(line.holding, line.price and line.price.source) for line in before.holdings}


@given(st.lists(holdings, max_size=8), st.lists(tickers, max_size=8), quantities.filter(bool))
def test_a_deposit_of_an_unpriced_asset_is_listed_and_changes_no_total(
    held: list[Holding], market: list[Ticker], quantity: Decimal
) -> None:
    held = [holding for holding in held if holding.balance.asset != "NIL"]
    deposit = Holding(
        AccountId("a"),
        ExchangeId("binance"),
        Balance(Wallet.SPOT, Asset("NIL"), quantity, Decimal(0), Decimal(0)),
        NOW,
    )

    before, after = valued(held, market), valued([*held, deposit], market)

    assert after.total == (before.total or None)  # of the deposit alone nothing is known
    assert [line.asset for line in after.unpriced if line not in before.unpriced] == ["NIL"]
    assert next(line for line in after.unpriced if line.asset == "NIL").quantity == quantity


@given(st.lists(holdings, max_size=12), st.lists(tickers, max_size=10))
def test_every_line_is_either_priced_or_listed_as_unpriced(
    held: list[Holding], market: list[Ticker]
) -> None:
    valuation = valued(held, market)

    listed = {line.asset for line in valuation.unpriced}
    for line in valuation.holdings:
        balance = line.holding.balance
        if balance.total or balance.borrowed:
            assert (line.price is None) == (balance.asset in listed)


@settings(max_examples=50)
@given(st.lists(tickers, min_size=1, max_size=10))
def test_more_markets_never_make_a_price_worse(market: list[Ticker]) -> None:
    few, many = book_of(market[:-1]), book_of(market)
    # A newer ticker of a market that was known already replaces it; then nothing can be compared.
    if any((t.exchange, t.symbol) == (market[-1].exchange, market[-1].symbol) for t in market[:-1]):
        return
    for asset in ASSETS:
        before = few.price(Asset(asset), Asset("USDT"), now=NOW)
        after = many.price(Asset(asset), Asset("USDT"), now=NOW)
        if before is not None:
            assert after is not None
            assert after.quality.rank <= before.quality.rank
