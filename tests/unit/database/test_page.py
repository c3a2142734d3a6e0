"""Cursors: opaque, exact to the microsecond, and nothing else is one."""

from base64 import urlsafe_b64encode
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.database.queries.page import Place
from alphapulse.errors import InvalidInput

times = st.datetimes(min_value=datetime(1900, 1, 1), timezones=st.just(UTC))


@given(times, st.integers(0, 2**63 - 1))
def test_a_cursor_leads_back_to_its_place(at: datetime, row_id: int) -> None:
    place = Place(at, row_id)
    assert Place.decode(place.encode()) == place


def _encoded(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "nonsense",
        "ü",
        "====",
        _encoded("1"),
        _encoded("1.2.3"),
        _encoded("one.two"),
        _encoded("01.2"),
        _encoded(" 1.2"),
        _encoded(f"1.{2**63}"),
        _encoded(f"{10**30}.1"),
        Place(datetime(2026, 1, 1, tzinfo=UTC), 1).encode()[:-1],
        Place(datetime(2026, 1, 1, tzinfo=UTC), 1).encode() + "=",
    ],
)
def test_what_we_did_not_encode_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Place.decode(cursor)
    assert refused.value.facts["field"] == "cursor"
