"""Figures worked by hand, and textbook examples with their sources."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from alphapulse.domain.performance.figures import Figure
from alphapulse.domain.performance.history import Point
from alphapulse.domain.performance.report import Performance, Terms, performance_of
from tests.net_worth import START, daily, day, point

FEW = Terms(returns_min=2)


def on(when: date, value: str, flow: str = "0") -> Point:
    at = datetime(when.year, when.month, when.day, tzinfo=UTC)
    return Point(at, Decimal(value), Decimal(flow))


def close_to(figure: Figure, by_hand: str) -> bool:
    assert figure.value is not None, figure.detail
    return abs(figure.value - Decimal(by_hand)) <= Decimal("1e-8")


class TestTimeWeighted:
    def test_two_investors_with_one_manager_have_one_return(self) -> None:
        """Investopedia, "Time-Weighted Rate of Return": 1,000,000 grows by 16.2484 % to 1,162,484;
        then one investor adds 100,000 and ends with 1,192,328, the other takes 100,000 out and ends
        with 1,003,440. Both made 16.25 % and then lost 5.56 %: 9.79 %."""
        adds = performance_of(
            [
                on(date(2025, 12, 31), "1000000"),
                on(date(2026, 8, 15), "1162484"),
                on(date(2026, 12, 31), "1192328", "100000"),
            ]
        )
        takes = performance_of(
            [
                on(date(2025, 12, 31), "1000000"),
                on(date(2026, 8, 15), "1062484", "-100000"),
                on(date(2026, 12, 31), "1003440"),
            ]
        )
        # 1.162484 * 1192328 / 1262484 - 1, and 1.162484 * 1003440 / 1062484 - 1
        assert close_to(adds.twr, "0.09788498")
        assert close_to(takes.twr, "0.09788283")

    def test_a_deposit_known_on_both_sides_splits_the_time(self) -> None:
        """100 -> 110 is 1.1; 40 come in; 150 -> 135 is 0.9; 1.1 * 0.9 = 0.99."""
        told = performance_of(
            [point(0, "100"), point(9, "110"), point(9.01, "150", "40"), point(20, "135")]
        )
        assert told.twr.value == Decimal("-0.01000000")

    def test_the_first_money_into_an_empty_account_starts_the_time(self) -> None:
        told = performance_of(
            [point(0, "0"), point(50, "0"), point(51, "1010", "1000"), point(52, "1111")]
        )
        # 1010 / 1000 * 1111 / 1010
        assert told.twr.value == Decimal("0.11100000")
        assert (told.twr.inputs.started_at, told.twr.inputs.points) == (day(50), 3)

    def test_everything_out_and_in_again_goes_on_where_it_stood(self) -> None:
        told = performance_of(
            [
                point(0, "100"),
                point(1, "0", "-120"),
                point(2, "0"),
                point(3, "55", "50"),
            ]
        )
        # 120 / 100, nothing there, 55 / 50
        assert told.twr.value == Decimal("0.32000000")

    def test_a_deposit_many_times_the_rest_makes_no_fantastic_return(self) -> None:
        """1 is there, 100,000 come in and lose 0.1 % before the next point. Counted at the end,
        that flow would have lost 9,999 %; it lost 0.1 % and a little."""
        told = performance_of([point(0, "1"), point(1, "99901", "100000")])
        # 99901 / 100001 - 1
        assert told.twr.value == Decimal("-0.00099999")

    def test_a_year_of_it(self) -> None:
        """10 % in 73 days, a fifth of 365: 1.1 ^ 5 = 1.61051."""
        told = performance_of([point(0, "100"), point(73, "110")])
        assert told.twr_annualized.value == Decimal("0.61051000")

    def test_half_of_it_in_two_years(self) -> None:
        """0.81 in 730 days: 0.9 a year."""
        told = performance_of([point(0, "100"), point(730, "81")])
        assert told.twr_annualized.value == Decimal("-0.10000000")


class TestMoneyWeighted:
    def test_the_example_of_xirr(self) -> None:
        """Microsoft's help for XIRR: -10,000 on 2008-01-01; 2,750 on 03-01; 4,250 on 10-30; 3,250
        on 2009-02-15; 2,750 on 04-01 gives 0.373362535. The last is what is left here."""
        told = performance_of(
            [
                on(date(2008, 1, 1), "10000"),
                on(date(2008, 3, 1), "7500", "-2750"),
                on(date(2008, 10, 30), "4500", "-4250"),
                on(date(2009, 2, 15), "2000", "-3250"),
                on(date(2009, 4, 1), "2750"),
            ]
        )
        assert told.mwr_annualized.value is not None
        assert abs(told.mwr_annualized.value - Decimal("0.373362535")) < Decimal("1e-8")

    def test_a_quadratic_by_hand(self) -> None:
        """100, after a year 55 more, after another 182: 100 y^2 + 55 y - 182 = 0 has
        y = (-55 + sqrt(55^2 + 4 * 100 * 182)) / 200 = (-55 + sqrt(75825)) / 200."""
        told = performance_of([point(0, "100"), point(365, "120"), point(730, "182", "55")])
        assert close_to(told.mwr_annualized, "0.10181697")
        # both years together: y^2 - 1
        assert close_to(told.mwr, "0.21400066")

    def test_two_rates_fit_and_none_is_told(self) -> None:
        """1,600 in, 10,000 out, 10,000 in: 25 % and 400 % a year both fit (Lorie and Savage 1955,
        the pump: -1,600, 10,000, -10,000)."""
        told = performance_of(
            [
                point(0, "1600"),
                point(365, "500", "-10000"),
                point(730, "500"),
                point(730.001, "0", "10000"),
            ]
        )
        assert told.mwr.value is told.mwr_annualized.value is None
        assert told.mwr.reason == told.mwr_annualized.reason == "no_single_rate"

    def test_one_found_of_three_that_may_fit_is_not_told(self) -> None:
        """In years' growth y: (y - 1.1)(y - 1.2)(y - 1.3) * 1000
        = 1000 y^3 - 3600 y^2 + 4310 y - 1716."""
        told = performance_of(
            [
                point(0, "1000"),
                point(365, "1", "-3600"),
                point(730, "1"),
                point(731, "4311", "4310"),
                point(1095, "1716"),
            ]
        )
        assert (told.mwr.value, told.mwr.reason) == (None, "no_single_rate")

    def test_no_rate_fits(self) -> None:
        """y^2 - 2 y + 2 is never zero."""
        told = performance_of(
            [point(0, "100"), point(365, "1", "-200"), point(729, "1"), point(730, "0", "200")]
        )
        assert (told.mwr.value, told.mwr.reason) == (None, "no_single_rate")

    def test_more_than_all_lost_has_no_rate(self) -> None:
        told = performance_of([point(0, "100"), point(400, "-5")])
        assert (told.mwr.value, told.mwr.reason) == (None, "no_single_rate")

    @pytest.mark.parametrize(("end", "by_hand"), [("0.03", "-0.9997"), ("123456789", "1234566.89")])
    def test_nearly_all_lost_and_a_fortune_are_found(self, end: str, by_hand: str) -> None:
        told = performance_of([point(0, "100"), point(400, end)])
        assert told.mwr.value == Decimal(by_hand)

    def test_all_lost_is_all(self) -> None:
        told = performance_of([point(0, "100"), point(400, "0")])
        assert told.mwr.value == told.mwr_annualized.value == Decimal(-1)
        assert told.twr.value == told.twr_annualized.value == Decimal(-1)


class TestDrawdown:
    def test_the_deepest_fall_with_its_dates(self) -> None:
        """From 120 to 90 a quarter is lost, regained on day 5; from 130 to 117 only a tenth."""
        told = performance_of(daily("100", "120", "108", "90", "110", "130", "117", "125"))
        assert told.max_drawdown.value == Decimal("0.25000000")
        assert told.drawdown is not None
        assert (told.drawdown.peak_at, told.drawdown.trough_at) == (day(1), day(3))
        assert told.drawdown.recovered_at == day(5)

    def test_it_begins_when_the_peak_was_left(self) -> None:
        told = performance_of(daily("100", "120", "120", "90"))
        assert told.drawdown is not None
        assert told.drawdown.peak_at == day(2)

    def test_a_fall_that_lasts(self) -> None:
        told = performance_of(daily("100", "80", "90"))
        assert told.drawdown is not None
        assert (told.drawdown.trough_at, told.drawdown.recovered_at) == (day(1), None)

    def test_the_peak_that_counts_is_the_one_fallen_from(self) -> None:
        """100 -> 50 -> 70 -> 60 -> 100: the small fall from 70 ends nothing."""
        told = performance_of(daily("100", "50", "70", "60", "99", "100", "99"))
        assert told.drawdown is not None
        assert told.drawdown.recovered_at == day(5)

    def test_a_deposit_hides_no_fall_and_a_withdrawal_is_none(self) -> None:
        hidden = performance_of([point(0, "100"), point(1, "80"), point(2, "500", "420")])
        assert hidden.max_drawdown.value == Decimal("0.20000000")
        taken = performance_of([point(0, "100"), point(1, "20", "-80"), point(2, "20")])
        assert taken.max_drawdown.value == 0


class TestRisk:
    # Returns 0.1, -0.1, 0.2, 0: mean 0.05; squares of the deviations 0.0025, 0.0225, 0.0225,
    # 0.0025 make 0.05, a third of it 0.0166..., its root 0.12909944.
    VALUES = ("100", "110", "99", "118.8", "118.8")

    def test_without_a_risk_free_rate(self) -> None:
        """Days: sqrt(365) = 19.10497317."""
        told = performance_of(daily(*self.VALUES), FEW)
        # sqrt(0.05 / 3 * 365)
        assert close_to(told.volatility, "2.46644143")
        # 0.05 / sqrt(0.05 / 3) = sqrt(0.15); sqrt(0.15 * 365)
        assert close_to(told.sharpe, "7.39932429")
        # losses 0, -0.1, 0, 0: sqrt(0.01 / 4) = 0.05; 0.05 / 0.05 * sqrt(365)
        assert close_to(told.sortino, "19.10497317")

    def test_with_one(self) -> None:
        """Half years: 2.01 % a year is 1 % a period, sqrt(2) = 1.41421356."""
        half = timedelta(days=365) / 2
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        points = [
            Point(epoch + (number + 100) * half, each.value)
            for number, each in enumerate(daily(*self.VALUES))
        ]
        terms = Terms(period=half, returns_min=4, risk_free_rate=Decimal("0.0201"))
        told = performance_of(points, terms)
        # sqrt(0.05 / 3 * 2)
        assert close_to(told.volatility, "0.18257419")
        # 0.04 / sqrt(0.05 / 3) * sqrt(2) = sqrt(0.0016 * 3 / 0.05 * 2)
        assert close_to(told.sharpe, "0.43817805")
        # losses -0.11 and -0.01: sqrt(0.0122 / 4); 0.04 / 0.05522681 * sqrt(2)
        assert close_to(told.sortino, "1.02429504")
        assert told.sharpe.inputs.period == half
        assert told.sharpe.inputs.periods_per_year == 2
        assert told.sharpe.inputs.risk_free_rate == Decimal("0.0201")

    def test_a_day_begun_and_a_day_not_over_are_no_days(self) -> None:
        """Known from 06:00 of day 0 to 18:00 of day 3: the midnights are 1, 2 and 3."""
        points = [
            point(0.25, "90"),
            point(0.75, "95"),
            point(1, "100"),
            point(1.5, "70"),
            point(2, "110"),
            point(3, "99"),
            point(3.75, "500"),
        ]
        told = performance_of(points, FEW)
        assert told.volatility.inputs.returns == 2
        # 0.1 and -0.1: sqrt(0.02) * sqrt(365)
        assert close_to(told.volatility, "2.70185122")


class TestBenchmark:
    def test_the_difference_is_ours_less_theirs(self) -> None:
        prices = daily("40000", None, "42000")
        told = performance_of(daily("100", "105", "110"), benchmark=prices)
        assert told.benchmark.value == Decimal("0.05000000")
        assert told.benchmark_difference.value == Decimal("0.05000000")
        assert told.benchmark.inputs.benchmark_started_at == START

    def test_a_price_of_another_day_does_not_count(self) -> None:
        told = performance_of(daily("100", "105", "110"), benchmark=daily("40000", "41000"))
        assert (told.benchmark.value, told.benchmark.reason) == (None, "no_point_near")
        assert told.benchmark_difference.value is None
        wide = replace(FEW, benchmark_within=timedelta(days=1))
        told = performance_of(daily("100", "105", "110"), wide, daily("40000", "41000"))
        assert told.benchmark.value == Decimal("0.02500000")
        assert told.benchmark.inputs.benchmark_ended_at == day(1)

    def test_one_price_is_no_return(self) -> None:
        wide = replace(FEW, benchmark_within=timedelta(days=1))
        told = performance_of(daily("100", "105"), wide, daily("40000"))
        assert (told.benchmark.value, told.benchmark.reason) == (None, "too_few_points")

    def test_nobody_asked(self) -> None:
        assert performance_of(daily("100", "105")).benchmark.reason == "not_asked"


def test_every_figure_names_its_formula_and_what_it_was_made_of() -> None:
    points = [
        point(0, "100"),
        point(1, "150", "40"),
        point(2, None),
        point(3, "120"),
        point(5, "110", is_gap=True),
        point(40, "100", "-20"),
    ]
    told = performance_of(points, benchmark=daily("1", "2"))
    figures: list[Figure] = [
        figure
        for name in Performance.__slots__
        if isinstance(figure := getattr(told, name), Figure)
    ]
    assert len({figure.formula.name for figure in figures}) == len(figures) == 10
    for figure in figures:
        assert figure.formula.text
        inputs = figure.inputs
        assert (inputs.points, inputs.unknown_points, inputs.gaps, inputs.flows) == (6, 1, 2, 2)
        assert inputs.net_flow == 20
        # days 1 to 3 and 3 to 5 of 40
        assert inputs.gap_share == Decimal("0.10000000")
        assert (figure.value is None) is (figure.reason is not None) is (figure.detail is not None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"period": timedelta()},
        {"risk_free_rate": Decimal(-1)},
        {"returns_min": 1},
        {"annualized_from": timedelta(hours=1)},
    ],
)
def test_terms_that_measure_nothing_are_refused(wrong: dict[str, timedelta]) -> None:
    with pytest.raises(ValueError, match="nothing can be measured"):
        Terms(**wrong)  # type: ignore[arg-type]
