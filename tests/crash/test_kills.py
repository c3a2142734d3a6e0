"""Kill -9 anywhere in the order path: no order is lost, none is doubled."""

from contextlib import aclosing
from pathlib import Path

import pytest

from tests.crash.life import Variant
from tests.crash.points import every_point
from tests.crash.runs import Campaign
from tests.crash.stores import PostgresStore, SqliteStore, Store
from tests.crash.zygote import zygote

KILLS, KILLS_OF_SWEEP = 300, 3000
PARTS = 4
"""Tests for each database, side by side where there are cores."""


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "sqlite":
        return SqliteStore(request.getfixturevalue("sqlite_template"), tmp_path)
    return PostgresStore(request.getfixturevalue("postgres_settings"))


async def expect_nothing_lost_or_doubled(store: Store, part: int, kills: int) -> None:
    points = every_point()[part::PARTS]
    async with aclosing(store), zygote() as lives:
        campaign = Campaign(store, lives, points, seed=part)
        await campaign.kill(kills)
    assert campaign.tally.violations == []
    assert campaign.missing == []
    assert campaign.tally.kills >= kills


@pytest.mark.parametrize("part", range(PARTS))
async def test_kills_at_every_point_lose_and_double_no_order(store: Store, part: int) -> None:
    await expect_nothing_lost_or_doubled(store, part, KILLS // PARTS)


@pytest.mark.sweep
@pytest.mark.parametrize("part", range(PARTS))
async def test_thousands_of_kills_lose_and_double_no_order(store: Store, part: int) -> None:
    await expect_nothing_lost_or_doubled(store, part, KILLS_OF_SWEEP // PARTS)


@pytest.mark.parametrize(
    ("variant", "verdict"),
    [
        (Variant.SENDS_FIRST, "was sent before it was durable"),
        (Variant.SENDS_AGAIN, "was sent 2 times"),
        (Variant.TAKES_SILENCE_FOR_NO, "is quarantined here"),
    ],
)
async def test_the_harness_convicts_a_program_that(
    sqlite_template: Path, tmp_path: Path, variant: Variant, verdict: str
) -> None:
    store = SqliteStore(sqlite_template, tmp_path)
    async with aclosing(store), zygote() as lives:
        campaign = Campaign(store, lives, every_point(), seed=0, variant=variant)
        while not any(verdict in one for one in campaign.tally.violations):
            assert campaign.tally.runs < 30, campaign.tally.violations
            await campaign.run()
