"""The first run: one code, one administrator, nothing open before."""

import json

import pytest

from alphapulse.api.settings import ApiSettings
from tests.fixtures.api import PASSWORD, USERNAME, RunningApi, body
from tests.fixtures.clock import HandClock


def first(code: str | None, **changes: str) -> dict[str, str | None]:
    return {"code": code, "username": USERNAME, "password": PASSWORD, **changes}


@pytest.mark.parametrize(
    "path",
    ["/api/portfolio/summary", "/api/exchange/accounts", "/api/user/profile", "/api/nope"],
)
async def test_nothing_answers_before_the_set_up(fresh_api: RunningApi, path: str) -> None:
    problem = await body(await fresh_api.get(path), 503)

    assert problem["code"] == "setup_required"


@pytest.mark.parametrize(
    "path", ["/", "/setup", "/docs", "/docs/errors", "/health/live", "/api/openapi.json"]
)
async def test_what_leads_to_the_set_up_answers(fresh_api: RunningApi, path: str) -> None:
    assert (await fresh_api.get(path)).status == 200


async def test_login_does_not_answer_before_the_set_up(fresh_api: RunningApi) -> None:
    answer = await fresh_api.post("/api/user/login", {"username": "admin", "password": "admin"})

    assert (await body(answer, 503))["code"] == "setup_required"


async def test_the_code_makes_an_administrator_who_is_logged_in(fresh_api: RunningApi) -> None:
    said = await fresh_api.set_up()

    assert said["user"]["roles"] == ["admin"]
    profile = await body(await fresh_api.get("/api/user/profile"))
    assert profile["username"] == USERNAME
    assert profile["settings"]["currency"] == "USD"


async def test_the_code_is_good_once(fresh_api: RunningApi) -> None:
    await fresh_api.set_up()

    again = await fresh_api.post("/api/user/setup", first(fresh_api.setup_code, username="eve"))

    assert (await body(again, 401))["code"] == "setup_code_invalid"


async def test_a_wrong_code_makes_nobody(fresh_api: RunningApi) -> None:
    answer = await fresh_api.post("/api/user/setup", first("0000-0000-0000"))

    assert (await body(answer, 401))["code"] == "setup_code_invalid"
    assert not fresh_api.services.users.is_set_up


async def test_a_weak_password_is_refused_and_the_code_stays_good(fresh_api: RunningApi) -> None:
    weak = await fresh_api.post("/api/user/setup", first(fresh_api.setup_code, password="short"))

    problem = await body(weak, 422)
    assert problem["errors"][0]["pointer"] == "/password"
    assert "short" not in json.dumps(problem)
    await fresh_api.set_up()


async def test_guessing_codes_is_slowed_down(fresh_api: RunningApi) -> None:
    answers = [await fresh_api.post("/api/user/setup", first(f"{n:04}")) for n in range(6)]

    assert [answer.status for answer in answers] == [401] * 5 + [429]
    assert int(answers[-1].headers["Retry-After"]) > 0


async def test_a_code_older_than_15_minutes_is_refused(
    fresh_api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = fresh_api.services.users
    moved = users._clock.now().replace(year=users._clock.now().year + 1)
    monkeypatch.setattr(users, "_clock", HandClock(moved))

    answer = await fresh_api.post("/api/user/setup", first(fresh_api.setup_code))

    assert (await body(answer, 401))["code"] == "setup_code_invalid"


async def test_pages_load_nothing_from_elsewhere(fresh_api: RunningApi) -> None:
    for path in ("/", "/setup", "/docs", "/docs/errors", "/docs/stream"):
        answer = await fresh_api.get(path)
        text = await answer.text()
        assert "http://" not in text
        assert "https://" not in text
        assert "<script>" not in text
        assert "style=" not in text
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]


async def test_every_file_a_page_names_is_there(fresh_api: RunningApi) -> None:
    for name in ("page.css", "setup.js", "docs.js", "swagger-ui.css", "swagger-ui-bundle.js"):
        answer = await fresh_api.get(f"/assets/{name}")
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith(("text/css", "text/javascript"))


@pytest.mark.parametrize("host", ["192.168.1.5", "::"])
def test_listening_beyond_this_machine_needs_a_proxy_and_names(host: str) -> None:
    with pytest.raises(ValueError, match="is_behind_tls_proxy"):
        ApiSettings(host=host)
    ApiSettings(
        host=host, is_behind_tls_proxy=True, allowed_hosts=("127.0.0.1", "pulse.example.org")
    )
