"""Whether what the simulator sends has the keys and types that a venue was recorded with."""

import json
from pathlib import Path
from typing import Any

Json = Any


def payload(name: str) -> Json:
    """A recorded message, ``bybit/ws_kline``."""
    return json.loads(shared_data(f"payloads/{name}.json").read_text())


def shared_data(name: str) -> Path:
    """A file of ``shared/data``, which lies beside the repository and is no part of it.

    Raises:
        FileNotFoundError: the tests cannot say anything without it.
    """
    for folder in Path(__file__).resolve().parents:
        path = folder / "shared" / "data" / name
        if path.exists():
            return path
    raise FileNotFoundError(f"../shared/data/{name} is missing")


def differences(recorded: Json, sent: Json, extra: frozenset[str], at: str = "") -> list[str]:
    """Where what was sent lacks a recorded key, adds an undocumented one, or has another type.

    A recorded ``null`` stands for any type. Of the rows of a recorded list a key is required when
    all of them have it.
    """
    if recorded is None:
        return []
    if type(recorded) is not type(sent):
        return [f"{at}: recorded {type(recorded).__name__}, sent {type(sent).__name__}"]
    if isinstance(recorded, dict):
        return _of_objects([recorded], sent, extra, at)
    if isinstance(recorded, list):
        return _of_lists(recorded, sent, extra, at)
    return []


def _of_lists(recorded: list[Json], sent: list[Json], extra: frozenset[str], at: str) -> list[str]:
    if not recorded:
        return []
    if not sent:
        # An empty list of rows would agree with anything; an empty side or permission is a fact.
        return [f"{at}: nothing sent"] if at.endswith((".list", ".data")) else []
    if all(isinstance(row, dict) for row in recorded):
        return [
            d for i, row in enumerate(sent) for d in _of_objects(recorded, row, extra, f"{at}[{i}]")
        ]
    return [
        d for i, row in enumerate(sent) for d in differences(recorded[0], row, extra, f"{at}[{i}]")
    ]


def _of_objects(rows: list[Json], sent: Json, extra: frozenset[str], at: str) -> list[str]:
    required = set.intersection(*(set(row) for row in rows))
    known = {key: row[key] for row in rows for key in row if row[key] is not None}
    missing = [f"{at}.{key}: missing" for key in sorted(required - set(sent))]
    added = [f"{at}.{key}: not recorded" for key in sorted(set(sent) - set().union(*rows) - extra)]
    inner = [
        d
        for key in sent
        if key in known
        for d in differences(known[key], sent[key], extra, f"{at}.{key}")
    ]
    return missing + added + inner
