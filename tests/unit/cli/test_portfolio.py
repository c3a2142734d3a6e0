"""What the command says of a portfolio of which something is unknown."""

import pytest

from alphapulse.cli.portfolio import _show_summary


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
