"""What a user is told while the database is locked or gone, and that it passes by itself."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import make_url

from alphapulse.database.adapters.folder import SqliteFiles
from alphapulse.database.settings import DatabaseSettings
from alphapulse.services import database_watch, facts
from tests.eventually import eventually
from tests.fixtures.api import RunningApi, body, serve_api

IMPATIENT: dict[str, Any] = {"busy_timeout_s": 0.2, "pool_timeout_s": 1.0, "connect_timeout_s": 1.0}


@pytest.fixture(autouse=True)
def _quick_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_watch, "INTERVAL_S", 0.05)


@asynccontextmanager
async def served(settings: DatabaseSettings, folder: Path) -> AsyncIterator[RunningApi]:
    """A server with a user and an account that holds something."""
    async with serve_api(settings.model_copy(update=IMPATIENT), folder) as api:
        await api.set_up()
        await api.add_account("main", BTC="2")
        yield api


async def database_says(api: RunningApi) -> dict[str, Any]:
    """The status page's word on the database."""
    answer = await api.get("/api/system/status")
    status: dict[str, Any] = await answer.json()
    (component,) = (c for c in status["components"] if c["name"] == "database")
    return dict(component)


async def is_ready(api: RunningApi, status: int) -> bool:
    return (await api.get("/health/ready")).status == status


async def test_a_sqlite_folder_that_vanishes_is_said_everywhere_until_it_is_back(
    sqlite_settings: DatabaseSettings, tmp_path: Path
) -> None:
    async with served(sqlite_settings, tmp_path) as api:
        await eventually(lambda: is_ready(api, 200))
        folder = SqliteFiles.of(sqlite_settings.url).money.parent
        away = folder.with_name("away")
        folder.rename(away)

        # What is in memory is still shown; what needs the database says why it cannot.
        assert (await body(await api.get("/api/portfolio/summary")))["position_count"] == 1
        problem = await body(await api.get("/api/exchange/accounts"), 503)
        assert problem["code"] == "database_unavailable"
        assert "cannot be opened" in problem["detail"]
        said = await database_says(api)
        assert said["status"] == "down"
        assert "cannot be opened" in said["detail"]
        await eventually(lambda: is_ready(api, 503))
        ready = await body(await api.get("/health/ready"), 503)
        assert "database" in {reason["name"] for reason in ready["reasons"]}

        away.rename(folder)
        assert (await api.get("/api/exchange/accounts")).status == 200
        assert (await database_says(api))["status"] == "ok"
        assert await is_ready(api, 200)


async def test_facts_that_cannot_be_read_again_show_their_age_until_they_can(
    sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "REFRESH_S", 0.05)
    monkeypatch.setattr(facts, "STALE_AFTER_S", 2.0)
    async with serve_api(sqlite_settings.model_copy(update=IMPATIENT), tmp_path) as api:
        await api.set_up()
        await api.add_account("main", USD="2")

        async def summary() -> Any:
            return await body(await api.get("/api/portfolio/summary?currency=USD"))

        async def is_complete() -> bool:
            told = await summary()
            return told["meta"]["complete"] and told["residuals"] is not None

        async def is_stale() -> bool:
            return "facts_stale" in {one["code"] for one in (await summary())["meta"]["warnings"]}

        await eventually(is_complete)
        folder = SqliteFiles.of(sqlite_settings.url).money.parent
        away = folder.with_name("away")
        folder.rename(away)
        await eventually(is_stale)
        told = await summary()
        (old,) = [one for one in told["meta"]["warnings"] if one["code"] == "facts_stale"]
        assert old["subject"] == ["change", "residuals", "first_activity_at"]
        assert told["facts_as_of"] in old["message"]
        assert told["meta"]["complete"] is False
        assert told["residuals"] == []  # the last good ones

        away.rename(folder)
        await eventually(is_complete)


async def test_a_sqlite_folder_that_is_deleted_is_never_replaced_by_an_empty_one(
    sqlite_settings: DatabaseSettings, tmp_path: Path
) -> None:
    async with served(sqlite_settings, tmp_path) as api:
        folder = SqliteFiles.of(sqlite_settings.url).money.parent
        shutil.rmtree(folder)

        problem = await body(await api.get("/api/exchange/accounts"), 503)

        assert problem["code"] == "database_unavailable"
        assert not folder.exists()


async def test_a_locked_postgresql_table_is_busy_and_works_again_when_it_is_free(
    postgres_settings: DatabaseSettings, tmp_path: Path
) -> None:
    at = make_url(postgres_settings.url)
    holder = await asyncpg.connect(host=at.query["host"], user=at.username, database=at.database)
    async with served(postgres_settings, tmp_path) as api:
        async with holder.transaction():
            await holder.execute("LOCK TABLE accounts, alerts IN ACCESS EXCLUSIVE MODE")

            answer = await api.get("/api/exchange/accounts")
            problem = await body(answer, 503)
            assert problem["code"] == "database_busy"
            assert "locked by somebody else" in problem["detail"]
            assert answer.headers["Retry-After"] == "1"
            assert (await body(await api.get("/api/portfolio/summary")))["position_count"] == 1
            said = await database_says(api)
            assert said["status"] == "degraded"
            assert "locked by somebody else" in said["detail"]

        assert (await api.get("/api/exchange/accounts")).status == 200
        assert (await database_says(api))["status"] == "ok"
    await holder.close()
