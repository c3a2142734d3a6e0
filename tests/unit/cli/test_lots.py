"""What the command says of lots and disposals of which something is unknown."""

from typing import Any

import pytest

from alphapulse.cli.lots import _show_disposals, _show_lots

META = {"currency": "USD"}


def lot(**changes: Any) -> dict[str, Any]:
    return {
        "acquired_at": "2026-01-02T00:00:00.000Z",
        "account_id": "main",
        "asset": "BTC",
        "left": "1.5",
        "cost": "1500",
        "unit_cost": "1000",
        "basis_quality": "complete",
        "missing": None,
        "lot_id": "main|fill:1|BTC",
    } | changes


def test_a_cost_that_nobody_knows_is_named_and_not_shown_as_zero(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    unknown = lot(cost=None, unit_cost=None, basis_quality="unknown", missing="origin")
    _show_lots({"meta": META, "items": [lot(), unknown]})
    known, named = capsys.readouterr().out.splitlines()[-2:]
    assert "1,500.00" in known
    assert "unknown: origin" in named
    assert "0.00" not in named


def test_a_gain_is_shown_with_its_sign_and_an_unknown_one_is_not_zero(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    sale = {
        "disposed_at": "2026-01-02T00:00:00.000Z",
        "account_id": "main",
        "asset": "BTC",
        "quantity": "1",
        "reason": "trade",
        "lots": [{}],
        "proceeds": "900",
        "gain": "-100",
    }
    _show_disposals({"meta": META, "items": [sale, sale | {"gain": None}]})
    known, unknown = capsys.readouterr().out.splitlines()[-2:]
    assert "-100.00" in known
    assert "100.00" not in unknown
