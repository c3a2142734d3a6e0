"""What the command says of a portfolio of which something is unknown."""

import pytest

from alphapulse.cli.portfolio import _show_changes, _show_positions, _show_summary, sparkline


def test_a_total_and_a_quantity_that_nobody_knows_are_not_shown_as_zero(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _show_summary(
        {
            "meta": {"currency": "USD", "as_of": "2026-11-23T12:00:00.000Z"},
            "total_value": None,
            "accounts": [],
            "unpriced": [{"asset": "USDT", "quantity": None, "reason": "no mark price"}],
        }
    )

    said = capsys.readouterr().out
    assert "unknown USD" in said
    assert "unpriced – USDT: no mark price" in said
    assert "0 USD" not in said


def test_a_chart_leaves_blank_what_nobody_knows() -> None:
    assert sparkline(["1", None, "4.5", "8"]) == "▁ ▄█"
    assert sparkline(["5", "5"]) == "▁▁"
    assert sparkline([None]) == " "


def test_what_a_day_did_to_a_position_is_signed_and_a_dash_where_nobody_knows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = {"symbol": None, "side": None, "type": "spot", "account_id": "main", "quantity": "1"}
    line |= {"price": None, "value": None}
    known = {"abs": "5", "pct": "12.5"}
    _show_positions(
        [
            line | {"asset": "BTC", "change_24h": known},
            line | {"asset": "XYZ", "change_24h": None},
        ]
    )

    _, bitcoin, unknown = (row.split() for row in capsys.readouterr().out.splitlines())
    assert bitcoin[-2:] == ["+12.50", "–"]
    assert unknown[-2:] == ["–", "–"]


def test_changes_are_signed_and_only_what_was_recorded_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    unknown = {"abs": None, "pct": None, "reason": "no_point_near"}
    known = {"abs": "1234.5", "pct": "2.5", "reason": None}
    lost = {"abs": "-3.25", "pct": None, "reason": "unknown_at_flow"}
    _show_changes({"change": {"1h": known, "24h": lost, "7d": unknown}}, [])

    said = capsys.readouterr().out
    assert "1h +1,234.50 (2.50 %)" in said
    assert "24h -3.25 (– %)" in said
    assert "7d" not in said
