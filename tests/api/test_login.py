"""Logging in and out, with tokens and with cookies."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from alphapulse.security.key_file import MasterKey
from alphapulse.security.tokens import TokenIssuer
from tests.fixtures.api import PASSWORD, USERNAME, RunningApi, body
from tests.password_work import guesses_of

SUMMARY = "/api/portfolio/summary"


async def log_in(
    api: RunningApi, password: str = PASSWORD, username: str = USERNAME, **more: Any
) -> aiohttp.ClientResponse:
    return await api.post("/api/user/login", {"username": username, "password": password}, **more)


def own_page(api: RunningApi) -> dict[str, str]:
    return {"Origin": api.url, "Sec-Fetch-Site": "same-origin", "Authorization": ""}


async def test_a_login_gives_tokens_that_work(api: RunningApi) -> None:
    said = await body(await log_in(api))

    api.token = said["access_token"]
    assert said["token_type"] == "Bearer"
    assert said["expires_in"] <= 600
    assert said["refresh_token"]
    assert said["previous_login"]["ip"] == "127.0.0.1"
    assert (await api.get(SUMMARY)).status == 200


async def test_a_wrong_password_and_an_unknown_name_look_the_same(api: RunningApi) -> None:
    wrong = await body(await log_in(api, "not the password"), 401)
    unknown = await body(await log_in(api, username="nobody"), 401)

    for problem in (wrong, unknown):
        problem.pop("request_id")
    assert wrong == unknown
    assert wrong["code"] == "invalid_credentials"


async def test_an_unknown_name_takes_as_long_as_a_wrong_password(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = guesses_of(monkeypatch)

    await log_in(api, "not the password", username="nobody")
    await log_in(api, "not the password", username=USERNAME)

    unknown, known = work
    assert unknown == known


async def test_the_sixth_try_in_a_minute_waits(api: RunningApi) -> None:
    answers = [await log_in(api, "not the password") for _ in range(6)]

    assert [answer.status for answer in answers][-1] == 429
    assert int(answers[-1].headers["Retry-After"]) >= 1


async def test_logging_out_takes_effect_on_the_next_request(api: RunningApi) -> None:
    for _ in range(2):
        assert (await api.get(SUMMARY)).status == 200

    assert (await api.post("/api/user/logout")).status == 204

    problem = await body(await api.get(SUMMARY), 401)
    assert problem["code"] == "token_revoked"


async def test_a_token_ends_with_its_time(api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await api.get(SUMMARY)).status == 200
    later = api.clock.now() + timedelta(minutes=11)
    monkeypatch.setattr(api.clock, "now", lambda: later)

    problem = await body(await api.get(SUMMARY), 401)

    assert problem["code"] == "token_expired"


async def test_a_token_of_another_key_is_not_ours(api: RunningApi, tmp_path: Path) -> None:
    foreign = TokenIssuer(MasterKey.load_or_create(tmp_path / "other.key"), api.clock)
    access = api.services.users.verify_token(api.token)
    api.token = foreign.issue(access.user_id, access.session_id, access.scopes)

    assert (await body(await api.get(SUMMARY), 401))["code"] == "unauthenticated"


async def test_a_refresh_gives_new_tokens(api: RunningApi) -> None:
    said = await body(await log_in(api))

    again = await body(
        await api.post("/api/user/refresh", {"refresh_token": said["refresh_token"]})
    )

    assert again["session_id"] == said["session_id"]
    assert again["refresh_token"] != said["refresh_token"]
    api.token = again["access_token"]
    assert (await api.get(SUMMARY)).status == 200


async def test_a_client_that_lost_the_answer_to_a_refresh_gets_it_again(api: RunningApi) -> None:
    old = {"refresh_token": (await body(await log_in(api)))["refresh_token"]}

    lost = await body(await api.post("/api/user/refresh", old))
    again = await body(await api.post("/api/user/refresh", old))

    assert again["refresh_token"] == lost["refresh_token"]
    successor = {"refresh_token": again["refresh_token"]}
    assert (await api.post("/api/user/refresh", successor)).status == 200


async def test_a_refresh_token_that_comes_after_its_successor_ends_the_session(
    api: RunningApi,
) -> None:
    old = {"refresh_token": (await body(await log_in(api)))["refresh_token"]}
    new = await body(await api.post("/api/user/refresh", old))
    newest = await body(
        await api.post("/api/user/refresh", {"refresh_token": new["refresh_token"]})
    )

    assert (await body(await api.post("/api/user/refresh", old), 401))["code"] == "token_revoked"
    last = {"refresh_token": newest["refresh_token"]}
    assert (await api.post("/api/user/refresh", last)).status == 401


async def test_a_refresh_token_used_by_two_clients_ends_its_session(api: RunningApi) -> None:
    said = await body(await log_in(api))
    old = {"refresh_token": said["refresh_token"]}
    new = await body(await api.post("/api/user/refresh", old))

    thief = {"User-Agent": "another"}
    problem = await body(await api.post("/api/user/refresh", old, headers=thief), 401)

    assert problem["code"] == "token_revoked"
    for token in (said["access_token"], new["access_token"]):
        api.token = token
        assert (await body(await api.get(SUMMARY), 401))["code"] == "token_revoked"
    successor = {"refresh_token": new["refresh_token"]}
    assert (await api.post("/api/user/refresh", successor)).status == 401


async def test_a_browser_gets_a_cookie_and_no_refresh_token(api: RunningApi) -> None:
    api.token = ""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        api.client = browser
        answer = await log_in(api, headers=own_page(api))
        said = await body(answer)
        cookie = answer.headers["Set-Cookie"]

        assert said["refresh_token"] is None
        assert cookie.startswith("alphapulse=")
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert (await api.get(SUMMARY)).status == 200
        assert (await api.post("/api/user/logout", headers=own_page(api))).status == 204
        assert (await api.get(SUMMARY)).status == 401


async def test_a_cookie_works_after_a_restart_of_the_cache(api: RunningApi) -> None:
    api.token = ""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        api.client = browser
        await log_in(api, headers=own_page(api))
        api.services.users._browsers.clear()

        assert (await api.get(SUMMARY)).status == 200


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}],
)
async def test_a_foreign_page_changes_nothing(api: RunningApi, headers: dict[str, str]) -> None:
    problem = await body(await api.post("/api/user/logout", headers=headers), 403)

    assert problem["code"] == "cross_origin"
    assert (await api.get(SUMMARY)).status == 200


async def test_over_https_the_cookie_is_bound_to_its_host() -> None:
    from alphapulse.api import headers

    cookie = headers.set_cookie({"scheme": "https"}, "secret", 60)

    assert cookie.startswith("__Host-alphapulse=secret; Path=/;")
    assert cookie.endswith("Secure")


async def test_passwords_and_tokens_never_come_back(api: RunningApi) -> None:
    said = await log_in(api)
    text = await said.text()

    assert PASSWORD not in text
    refused = await api.post("/api/user/login", {"username": "x", "password": 12345, "extra": "s3"})
    assert "12345" not in await refused.text()
