"""Metrics: names with units, labels that cannot grow without end."""

import re

from prometheus_client import REGISTRY, generate_latest

from alphapulse.observability import metrics

OURS = [metric for metric in REGISTRY.collect() if metric.name.startswith("alphapulse")]
UNITS = ("_seconds", "_ratio", "_events", "_clients", "_in_use", "_orders_unknown", "_subjects")
UNBOUNDED = {"user", "account", "symbol", "session", "ip", "path"}


def test_every_name_ends_in_a_unit_or_is_a_count() -> None:
    nameless = [
        metric.name
        for metric in OURS
        if metric.type not in ("counter", "info") and not metric.name.endswith(UNITS)
    ]
    assert nameless == []


def test_no_label_is_unbounded() -> None:
    declared = [value for value in vars(metrics).values() if hasattr(value, "_labelnames")]
    assert len(declared) > 10
    assert not {label for metric in declared for label in metric._labelnames} & UNBOUNDED


def test_everything_is_explained_on_the_page() -> None:
    page = generate_latest().decode()
    assert len(re.findall(r"^# HELP alphapulse_\w+ [A-Z].+\.$", page, re.M)) >= len(OURS)
