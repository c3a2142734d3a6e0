"""Figures worked by hand: textbook examples, and the complaints of users of other trackers.

The book currency is USD; a year has its days counted from 0.
"""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from alphapulse.domain.cash_flow import FlowKind
from alphapulse.domain.cost_basis.disposals import Disposal, Reason
from alphapulse.domain.cost_basis.engine import CostBasis
from alphapulse.domain.cost_basis.lots import BasisQuality, Method
from alphapulse.domain.cost_basis.movements import joined
from alphapulse.domain.cost_basis.records import Place, Unexplained
from alphapulse.domain.identifiers import AccountId, Asset
from alphapulse.domain.money import plain
from alphapulse.domain.rates import RateQuality
from tests.ledgers import USD, RateTable, bought, day, flowed, sold, taken

NO_RATES = RateTable({})
BTC = Place(AccountId("a"), Asset("BTC"))
USDT = Place(AccountId("a"), Asset("USDT"))


def cost_basis(method: Method = Method.FIFO, rates: RateTable = NO_RATES) -> CostBasis:
    return CostBasis(USD, method, rates)


def texts(*numbers: Decimal | None) -> tuple[str | None, ...]:
    """As a person writes them."""
    return tuple(None if number is None else plain(number) for number in numbers)


def left(basis: CostBasis, place: Place = BTC) -> list[tuple[str | None, ...]]:
    """Quantity and cost of each lot."""
    return [texts(lot.left, lot.cost) for lot in basis.books.lots(place)]


def gains(disposals: list[Disposal]) -> tuple[str | None, ...]:
    return texts(*(disposal.gain for disposal in disposals))


# Bought 1 at 10,000, 1 at 30,000, 1 at 20,000; then sold 1.5 at 40,000 for 60,000.
TEXTBOOK = [
    bought(0, "BTC/USD", "1", "10000"),
    bought(1, "BTC/USD", "1", "30000"),
    bought(2, "BTC/USD", "1", "20000"),
    sold(3, "BTC/USD", "1.5", "40000"),
]


@pytest.mark.parametrize(
    ("method", "cost", "gain", "still_there"),
    [
        # 10,000 + half of 30,000; half of 30,000 and all of 20,000 stay.
        (Method.FIFO, "25000", "35000", [("0.5", "15000"), ("1", "20000")]),
        # 20,000 + half of 30,000; 10,000 and half of 30,000 stay.
        (Method.LIFO, "35000", "25000", [("1", "10000"), ("0.5", "15000")]),
        # 30,000 + half of 20,000; 10,000 and half of 20,000 stay.
        (Method.HIFO, "40000", "20000", [("1", "10000"), ("0.5", "10000")]),
        # 60,000 / 3 = 20,000 for each: 1.5 cost 30,000, as does the rest.
        (Method.AVERAGE, "30000", "30000", [("1.5", "30000")]),
    ],
)
def test_the_textbook(
    method: Method, cost: str, gain: str, still_there: list[tuple[str, str]]
) -> None:
    basis = cost_basis(method)
    (sale,) = taken(basis, TEXTBOOK)
    assert sale.proceeds == 60000
    assert sum(part.cost or 0 for part in sale.parts) == Decimal(cost)
    assert sale.gain == Decimal(gain)
    assert left(basis) == still_there


def test_a_disposal_names_its_lots_and_they_are_found_in_the_books() -> None:
    basis = cost_basis()
    for entry in TEXTBOOK[:3]:
        basis.take(entry)
    ids = [lot.lot_id for lot in basis.books.lots()]
    (sale,) = basis.take(TEXTBOOK[3])
    assert sale.id == "a|fill:BTC/USD:3|BTC|trade"
    assert [(part.lot_id, part.acquired_at) for part in sale.parts] == [
        (ids[0], day(0)),
        (ids[1], day(1)),
    ]
    # 60,000 are shared by quantity: 40,000 for one, 20,000 for a half.
    assert [texts(part.quantity, part.gain) for part in sale.parts] == [
        ("1", "30000"),
        ("0.5", "5000"),
    ]


def test_a_moving_average_forgets_what_was_sold_before() -> None:
    basis = cost_basis(Method.AVERAGE)
    disposals = taken(
        basis,
        [
            bought(0, "BTC/USD", "2", "100"),  # 2 for 200
            sold(1, "BTC/USD", "1", "150"),  # 150 - 100 = 50; 1 for 100 stays
            bought(2, "BTC/USD", "3", "200"),  # 4 for 700: 175 each
            sold(3, "BTC/USD", "2", "180"),  # 360 - 350 = 10
        ],
    )
    assert gains(disposals) == ("50", "10")
    assert left(basis) == [("2", "350")]


def test_thirds_lose_nothing() -> None:
    """100 / 3 has no end: each third is within one unit of the 18th place, and all make 100."""
    halves = [
        flowed(0, FlowKind.CONVERSION, "USD", "-100", reference="c", name="out"),
        flowed(0, FlowKind.CONVERSION, "BTC", "3", reference="c", name="in"),
    ]
    sales = [sold(number, "BTC/USD", "1", "50") for number in (1, 2, 3)]
    disposals = taken(cost_basis(), [*joined(halves), *sales])
    costs = [part.cost or 0 for sale in disposals for part in sale.parts]
    assert sum(costs) == 100
    assert all(abs(cost - Decimal(100) / 3) < Decimal("1e-18") for cost in costs)


def test_the_last_lot_brings_what_rounding_left_of_the_proceeds() -> None:
    """20 for 3 units of three lots: 6.666... each, of which the last is one unit less."""
    purchases = [bought(number, "BTC/USD", "1", "1") for number in range(3)]
    halves = [
        flowed(3, FlowKind.CONVERSION, "BTC", "-3", reference="c", name="out"),
        flowed(3, FlowKind.CONVERSION, "USD", "20", reference="c", name="in"),
    ]
    (sale,) = taken(cost_basis(), [*purchases, *joined(halves)])
    assert texts(*(part.proceeds for part in sale.parts)) == (
        "6.666666666666666667",
        "6.666666666666666667",
        "6.666666666666666666",
    )


@pytest.mark.parametrize(("method", "gain"), [(Method.FIFO, 10), (Method.LIFO, -10)])
def test_at_one_time_the_order_of_the_ledger_decides(method: Method, gain: int) -> None:
    first = bought(0, "BTC/USD", "1", "10")
    second = replace(bought(1, "BTC/USD", "1", "30"), occurred_at=first.occurred_at)
    (sale,) = taken(cost_basis(method), [first, second, sold(2, "BTC/USD", "1", "20")])
    assert sale.gain == gain


class TestFees:
    """T-20: in the coin that is bought, in the quote, in a third one."""

    def test_in_the_bought_coin_they_are_units_that_never_came(self) -> None:
        basis = cost_basis()
        basis.take(bought(0, "BTC/USD", "1", "30000", fee=("0.001", "BTC")))
        (lot,) = basis.books.lots()
        # 0.999 cost all of the 30,000, a thousandth of which was the fee.
        assert texts(lot.left, lot.cost, lot.fee_share) == ("0.999", "30000", "30")
        (fees,) = basis.books.flows()
        assert texts(fees.quantity, fees.value) == ("-0.001", "-30")
        assert fees.key.in_gains

    def test_the_booked_amount_is_not_there_to_sell(self) -> None:
        basis = cost_basis()
        (sale,) = taken(
            basis,
            [
                bought(0, "BTC/USD", "1", "30000", fee=("0.001", "BTC")),
                sold(1, "BTC/USD", "1", "40000"),
            ],
        )
        covered, missing = sale.parts
        assert texts(covered.quantity, covered.proceeds, covered.gain) == ("0.999", "39960", "9960")
        assert missing.lot_id is None
        assert texts(missing.quantity, missing.gain) == ("0.001", None)
        assert texts(sale.gain, sale.missing) == (None, "0.001")
        assert basis.books.quantity(BTC) == 0
        (hole,) = basis.books.unknown()
        assert (hole.place, hole.quantity, hole.since, hole.reason) == (
            BTC,
            Decimal("0.001"),
            day(1),
            Unexplained.NOT_HELD,
        )

    def test_dust_stays_with_its_cost(self) -> None:
        basis = cost_basis()
        taken(
            basis,
            [
                bought(0, "BTC/USD", "1", "30000", fee=("0.0004", "BTC")),
                sold(1, "BTC/USD", "0.999", "40000"),
            ],
        )
        # 0.0006 of 0.9996, of 30,000: 18.0072028811...
        assert left(basis) == [("0.0006", "18.007202881152460984")]

    def test_in_the_quote_a_purchase_costs_them_and_a_sale_brings_less(self) -> None:
        basis = cost_basis()
        (sale,) = taken(
            basis,
            [
                bought(0, "BTC/USD", "1", "30000", fee=("30", "USD")),
                sold(1, "BTC/USD", "1", "40000", fee=("40", "USD")),
            ],
        )
        assert texts(sale.proceeds, sale.fees, sale.gain) == ("39960", "40", "9930")

    def test_in_a_third_coin_they_are_sold_too(self) -> None:
        """10 BNB for 3,000; then 1 BTC for 30,000 and 0.1 BNB, worth 60 by then: the coin gained
        30, the purchase cost 30,060."""
        basis = cost_basis(rates=RateTable({"BNB": "600"}))
        (fee,) = taken(
            basis,
            [
                bought(0, "BNB/USD", "10", "300"),
                bought(1, "BTC/USD", "1", "30000", fee=("0.1", "BNB")),
            ],
        )
        assert (fee.reason, fee.asset, fee.quantity) == (Reason.FEE, "BNB", Decimal("0.1"))
        assert texts(fee.proceeds, fee.gain) == ("60", "30")
        assert left(basis) == [("1", "30060")]
        assert left(basis, Place(AccountId("a"), Asset("BNB"))) == [("9.9", "2970")]

    def test_in_a_quote_that_is_not_the_book_currency(self) -> None:
        """1,000 USDT for 990. At 0.99, 1 BTC for 900 USDT and a fee of 0.9: worth 891 and 0.891.
        At 1.01 it is sold for 1,000 USDT, fee 1: 1,010 less 1.01."""
        rates = RateTable({"USDT": {0: "0.99", 1: "0.99", 2: "1.01"}})
        basis = cost_basis(rates=rates)
        payment, fee, sale, sale_fee = taken(
            basis,
            [
                bought(0, "USDT/USD", "1000", "0.99"),
                bought(1, "BTC/USDT", "1", "900", fee=("0.9", "USDT")),
                sold(2, "BTC/USDT", "1", "1000", fee=("1", "USDT")),
            ],
        )
        assert texts(payment.gain, fee.gain) == ("0", "0")
        assert sale.proceeds == Decimal("1008.99")
        assert sale.gain == Decimal("1008.99") - Decimal("891.891")
        # The fee is paid with the oldest dollars, at 0.99, when one is worth 1.01.
        assert sale_fee.gain == Decimal("0.02")
        # 99.1 were left, 1 of them paid the fee; 1,000 came.
        assert left(basis, USDT) == [("98.1", "97.119"), ("1000", "1010")]

    def test_a_rebate_makes_a_purchase_cheaper(self) -> None:
        basis = cost_basis()
        basis.take(bought(0, "BTC/USD", "1", "30000", fee=("-3", "USD")))
        assert left(basis) == [("1", "29997")]

    def test_a_rebate_in_what_a_sale_brings_is_a_lot_of_its_own(self) -> None:
        basis = cost_basis(rates=RateTable({"USDT": "1"}))
        taken(
            basis,
            [
                bought(0, "BTC/USD", "1", "30000"),
                sold(1, "BTC/USDT", "1", "30000", fee=("-3", "USDT")),
            ],
        )
        assert left(basis, USDT) == [("30000", "30000"), ("3", "3")]
        assert len({lot.lot_id for lot in basis.books.lots()}) == 2

    def test_one_of_unknown_worth_makes_the_cost_unknown(self) -> None:
        basis = cost_basis()
        basis.take(bought(0, "BTC/USD", "1", "30000", fee=("0.1", "BNB")))
        assert left(basis) == [("1", None)]
        assert {hole.reason for hole in basis.books.unknown()} == {
            Unexplained.RATE,
            Unexplained.NOT_HELD,
        }


class TestRates:
    def test_one_in_another_currency_is_refused(self) -> None:
        """T-22: a price in the wrong currency showed a holding 25 times too high."""
        basis = cost_basis(rates=RateTable({"USDT": "25"}, currency=Asset("CZK")))
        with pytest.raises(ValueError, match="a rate of USDT in CZK is none of USDT in USD"):
            basis.take(bought(0, "BTC/USDT", "1", "30000"))

    def test_the_other_side_speaks_where_the_quote_has_no_rate(self) -> None:
        basis = cost_basis(rates=RateTable({"BTC": "31000"}))
        (payment,) = basis.take(bought(0, "BTC/XYZ", "1", "30000"))
        assert texts(payment.proceeds, payment.gain) == ("31000", None)
        assert left(basis) == [("1", "31000")]

    def test_where_no_side_has_one_nothing_is_zero(self) -> None:
        basis = cost_basis()
        (payment,) = basis.take(bought(0, "BTC/XYZ", "1", "30000"))
        assert texts(payment.proceeds, payment.gain) == (None, None)
        (lot,) = basis.books.lots()
        assert (lot.cost, lot.unit_cost, lot.quality) == (None, None, BasisQuality.UNKNOWN)

    def test_a_sale_without_one_is_listed_though_its_lots_are_known(self) -> None:
        basis = cost_basis()
        (sale,) = taken(
            basis, [bought(0, "BTC/USD", "1", "30000"), sold(1, "BTC/XYZ", "1", "40000")]
        )
        assert texts(sale.proceeds, sale.gain) == (None, None)
        hole = next(basis.books.holes())
        assert (hole.place, hole.reason, hole.lot_id) == (BTC, Unexplained.RATE, None)

    def test_a_disposal_shows_those_it_was_made_with(self) -> None:
        basis = cost_basis(rates=RateTable({"USDT": "0.99"}))
        basis.take(bought(0, "BTC/USD", "1", "30000"))
        (sale,) = basis.take(sold(1, "BTC/USDT", "1", "40000"))
        (rate,) = sale.rates
        assert (rate.asset, rate.value, rate.currency) == ("USDT", Decimal("0.99"), "USD")
        assert (rate.source, rate.quality) == ("table", RateQuality.CLOSE)

    def test_a_lot_made_with_a_distant_one_is_estimated(self) -> None:
        basis = cost_basis(rates=RateTable({"USDT": "1"}, quality=RateQuality.NEAREST))
        basis.take(bought(0, "BTC/USDT", "1", "30000"))
        assert {lot.quality for lot in basis.books.lots(BTC)} == {BasisQuality.ESTIMATED}

    def test_the_book_currency_needs_none_as_base_either(self) -> None:
        """EUR books: 1,100 USD are bought with 1,000 EUR and a fee of 1 EUR, told as a sale of
        EUR in USD. The dollars cost 1,001."""
        euros = CostBasis(Asset("EUR"), Method.FIFO, NO_RATES)
        assert euros.take(sold(0, "EUR/USD", "1000", "1.1", fee=("1", "EUR"))) == []
        assert left(euros, Place(AccountId("a"), USD)) == [("1100", "1001")]
        # And back, told as a purchase of EUR: 990 come, of which 1 is the fee.
        (sale,) = euros.take(bought(1, "EUR/USD", "990", "1.1", fee=("1", "EUR")))
        assert texts(sale.quantity, sale.proceeds) == ("1089", "989")


class TestHistoryThatKeepsSomethingBack:
    """T-24: a venue told fewer transactions than happened."""

    def test_what_was_sold_beyond_what_is_known_gains_nothing_known(self) -> None:
        basis = cost_basis()
        (sale,) = taken(
            basis, [bought(0, "BTC/USD", "1", "10000"), sold(2, "BTC/USD", "1.5", "20000")]
        )
        assert [texts(part.quantity, part.gain) for part in sale.parts] == [
            ("1", "10000"),
            ("0.5", None),
        ]
        (gains,) = basis.books.realized()
        assert texts(gains.gain, gains.unknown) == ("10000", "0.5")

    def test_the_next_purchase_does_not_pay_for_it(self) -> None:
        basis = cost_basis()
        taken(basis, [sold(0, "BTC/USD", "1", "20000"), bought(1, "BTC/USD", "1", "10000")])
        assert left(basis) == [("1", "10000")]

    def test_what_is_missing_is_listed_once_with_the_day_it_began(self) -> None:
        basis = cost_basis()
        taken(basis, [sold(number, "BTC/USD", "1", "20000") for number in (3, 5)])
        (hole,) = basis.books.unknown()
        assert (hole.quantity, hole.since) == (Decimal(2), day(3))


class TestContracts:
    rates = RateTable({"USDT": {0: "1", 1: "1.02", 2: "0.98", 3: "1"}})

    def test_profit_and_funding_come_in_and_go_out_at_their_value(self) -> None:
        basis = cost_basis(rates=self.rates)
        symbol = "BTC/USDT:USDT"
        disposals = taken(
            basis,
            [
                bought(0, "USDT/USD", "100", "1"),
                # Its fee, 2 USDT that cost 2 and are worth 2.04.
                bought(1, symbol, "1", "30000", fee=("2", "USDT")),
                # Funding of 5, that cost 5 and is worth 4.9.
                flowed(2, FlowKind.FUNDING, "USDT", "-5", symbol=symbol),
                flowed(3, FlowKind.PROFIT, "USDT", "50", symbol=symbol),
                flowed(3, FlowKind.FUNDING, "USDT", "1", symbol=symbol),
            ],
        )
        assert [(each.reason, each.gain) for each in disposals] == [
            (Reason.FEE, Decimal("0.04")),
            (Reason.CHARGE, Decimal("-0.1")),
        ]
        (result,) = basis.books.contracts()
        assert (result.symbol, result.asset) == (symbol, "USDT")
        assert texts(result.realized_pnl, result.funding_paid, result.fees_paid) == ("50", "4", "2")
        assert left(basis, USDT) == [("93", "93"), ("50", "50"), ("1", "1")]

    def test_a_position_has_no_lots(self) -> None:
        basis = cost_basis(rates=self.rates)
        assert basis.take(bought(0, "BTC/USDT:USDT", "1", "30000")) == []
        assert list(basis.books.lots()) == []

    def test_a_loss_is_paid_from_lots(self) -> None:
        basis = cost_basis(rates=self.rates)
        (loss,) = taken(
            basis,
            [
                bought(0, "USDT/USD", "100", "1"),
                flowed(1, FlowKind.PROFIT, "USDT", "-40", symbol="BTC/USDT:USDT"),
            ],
        )
        assert texts(loss.proceeds, loss.gain) == ("40.8", "0.8")
        assert left(basis, USDT) == [("60", "60")]


class TestIncome:
    def test_a_reward_costs_what_it_was_worth(self) -> None:
        basis = cost_basis(rates=RateTable({"BTC": "20000"}))
        basis.take(flowed(0, FlowKind.REWARD, "BTC", "0.1"))
        assert left(basis) == [("0.1", "2000")]
        (total,) = basis.books.flows()
        assert texts(total.quantity, total.value, total.unvalued) == ("0.1", "2000", "0")

    def test_one_without_a_rate_is_counted_and_marked(self) -> None:
        basis = cost_basis()
        basis.take(flowed(0, FlowKind.REWARD, "BTC", "0.1"))
        assert left(basis) == [("0.1", None)]
        (total,) = basis.books.flows()
        assert texts(total.value, total.unvalued) == ("0", "0.1")

    def test_interest_owed_is_paid_from_lots(self) -> None:
        basis = cost_basis(rates=RateTable({"BTC": "20000"}))
        (interest,) = taken(
            basis,
            [bought(0, "BTC/USD", "1", "10000"), flowed(1, FlowKind.INTEREST, "BTC", "-0.1")],
        )
        assert (interest.reason, interest.gain) == (Reason.CHARGE, Decimal(1000))


class TestConversions:
    def test_both_halves_are_worth_what_came(self) -> None:
        """Dust of 5 XYZ that cost 10 becomes 0.01 BNB, worth 6, of which 0.0002 is the fee."""
        basis = cost_basis(rates=RateTable({"BNB": "600", "XYZ": "77"}))
        entries = [
            bought(0, "XYZ/USD", "5", "2"),
            flowed(1, FlowKind.CONVERSION, "XYZ", "-5", reference="9", name="out"),
            flowed(1, FlowKind.CONVERSION, "BNB", "0.01", reference="9", name="in", fee="0.0002"),
        ]
        dust, fee = taken(basis, joined(entries))
        assert texts(dust.proceeds, dust.fees, dust.gain) == ("5.88", "0.12", "-4.12")
        assert (fee.asset, fee.gain) == ("BNB", Decimal(0))

    def test_a_half_alone_is_worth_what_it_is(self) -> None:
        basis = cost_basis(rates=RateTable({"BNB": "600"}))
        basis.take(flowed(0, FlowKind.CONVERSION, "BNB", "0.01", reference="9"))
        assert left(basis, Place(AccountId("a"), Asset("BNB"))) == [("0.01", "6")]


def test_an_entry_older_than_the_last_one_is_no_entry_to_take() -> None:
    basis = cost_basis()
    basis.take(bought(1, "BTC/USD", "1", "10000"))
    assert basis.taken_to is not None
    assert basis.taken_to.occurred_at == day(0) + timedelta(days=1)
    with pytest.raises(AssertionError, match="is older than"):
        basis.take(bought(0, "BTC/USD", "1", "10000"))
