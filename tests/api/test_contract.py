"""What holds for every route: scopes, problems, headers, and a document that says so."""

import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from fastapi.routing import iter_route_contexts

from alphapulse.api.problems import registry
from alphapulse.api.settings import ApiSettings
from alphapulse.database.settings import DatabaseSettings
from alphapulse.domain.identifiers import UserId
from alphapulse.domain.user import Role
from alphapulse.observability.health import ComponentHealth
from alphapulse.security.scopes import Scope, scopes_of
from tests.builders import make_user
from tests.fixtures.api import RunningApi, body, serve_api

PUBLIC = {
    "/api/user/setup",
    "/api/user/login",
    "/api/user/refresh",
    "/api/system/version",
    "/health/live",
    "/health/ready",
}


async def operations(api: RunningApi) -> list[tuple[str, str, dict[str, Any]]]:
    """Verb, path and description of each operation in the document."""
    document = await body(await api.get("/api/openapi.json"))
    return [
        (verb.upper(), path, operation)
        for path, verbs in document["paths"].items()
        for verb, operation in verbs.items()
    ]


def scopes_in(operation: dict[str, Any]) -> set[str]:
    return {
        scope for way in operation.get("security", []) for each in way.values() for scope in each
    }


async def test_every_route_declares_its_scope(api: RunningApi) -> None:
    for _, path, operation in await operations(api):
        scopes = scopes_in(operation)
        assert bool(scopes) != (path in PUBLIC), path
        assert scopes <= {scope.value for scope in Scope}


async def test_every_route_is_in_the_document(api: RunningApi) -> None:
    app = api.app
    served = {
        (verb, route.path)
        for route in iter_route_contexts(app.routes)
        for verb in route.methods or ()
        if route.path and route.path.startswith(("/api/", "/health/")) and verb != "HEAD"
    }
    documented = {(verb, path) for verb, path, _ in await operations(api)}

    assert served - documented == {("GET", "/api/openapi.json"), ("GET", "/api/asyncapi.json")}


async def test_without_a_credential_only_public_routes_answer(api: RunningApi) -> None:
    api.token = ""
    for verb, path, _ in await operations(api):
        answer = await api.request(verb, re.sub(r"{\w+}", "x", path), json={})
        assert (answer.status == 401) == (path not in PUBLIC) or path == "/api/user/refresh", path


@pytest.mark.parametrize("role", list(Role))
async def test_a_role_reaches_what_its_scopes_allow_and_nothing_else(
    api: RunningApi, role: Role
) -> None:
    users = api.services.users
    user = make_user(id=UserId(f"u-{role}"), username=role.value, role=role)
    async with users._database.begin() as unit:
        await unit.users.add(user, "no password opens this")
    api.token = users._issuer.issue(user.id, f"s-{role}", scopes_of(role))

    for verb, path, operation in await operations(api):
        if path in PUBLIC or path == "/api/user/logout":
            continue
        answer = await api.request(verb, re.sub(r"{\w+}", "x", path), json={})
        is_allowed = scopes_in(operation) <= {scope.value for scope in scopes_of(role)}
        assert (answer.status == 403) != is_allowed, (path, answer.status)
        if not is_allowed:
            assert (await body(answer, 403))["code"] == "missing_scope"


async def test_another_users_account_does_not_exist(api: RunningApi) -> None:
    owner = api.services.users.verify_token(api.token).user_id
    mine = await api.add_account("mine", owner=owner)
    users = api.services.users
    user = make_user(id=UserId("viewer"), username="viewer", role=Role.VIEWER)
    async with users._database.begin() as unit:
        await unit.users.add(user, "no password opens this")
    api.token = users._issuer.issue(user.id, "s", frozenset(Scope))

    assert (await body(await api.get("/api/exchange/accounts")))["items"] == []
    assert (await body(await api.get("/api/exchange/balance")))["accounts"] == []
    for verb, path in (
        ("GET", f"/api/exchange/accounts/{mine.id}"),
        ("POST", f"/api/exchange/accounts/{mine.id}/pause"),
        ("POST", f"/api/exchange/accounts/{mine.id}/test"),
        ("DELETE", f"/api/exchange/accounts/{mine.id}"),
        ("GET", f"/api/portfolio/summary?account={mine.id}"),
        ("GET", f"/api/exchange/orders?account={mine.id}"),
    ):
        assert (await api.request(verb, path)).status == 404, path


async def test_unknown_paths_and_verbs_are_problems(api: RunningApi) -> None:
    missing = await api.get("/api/nothing/here")
    wrong = await api.request("DELETE", "/api/exchange/accounts")

    assert (await body(missing, 404))["code"] == "no_such_path"
    assert missing.headers["Content-Type"] == "application/problem+json"
    assert (await body(wrong, 405))["code"] == "method_not_allowed"
    assert wrong.headers["Allow"] == "GET, POST"


@pytest.mark.parametrize(
    ("sent", "kind", "status", "code"),
    [
        (b'{"username":"a","username":"b","password":"c"}', "application/json", 400, "bad_request"),
        (b'{"username":', "application/json", 400, "bad_request"),
        (b'{"username":"a","password":NaN}', "application/json", 400, "bad_request"),
        (b"[" * 100_000, "application/json", 400, "bad_request"),
        (b"username=a", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b'{"username":"a","password":"b","more":1}', "application/json", 422, "validation_failed"),
        (b'"x"', "application/json", 422, "validation_failed"),
        (b" " * 1_000_001, "application/json", 413, "body_too_large"),
    ],
)
async def test_a_body_that_is_not_right_is_a_problem(
    api: RunningApi, sent: bytes, kind: str, status: int, code: str
) -> None:
    answer = await api.client.post(
        f"{api.url}/api/user/login", data=sent, headers={"Content-Type": kind}
    )

    assert (await body(answer, status))["code"] == code


async def test_a_field_error_points_at_the_field(api: RunningApi) -> None:
    answer = await api.post("/api/exchange/accounts", {"exchange": "binance", "label": ""})

    problem = await body(answer, 422)
    assert {(e["pointer"], e["location"]) for e in problem["errors"]} == {
        ("/label", "body"),
        ("/api_key", "body"),
        ("/api_secret", "body"),
    }


async def test_a_parameter_nobody_knows_is_refused(api: RunningApi) -> None:
    problem = await body(await api.get("/api/exchange/orders?colour=red"), 422)

    assert problem["errors"][0]["pointer"] == "/colour"
    assert problem["errors"][0]["location"] == "query"


async def test_a_bug_says_nothing_of_itself(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    def burst(*_: object) -> None:
        raise RuntimeError("secret path /root/.ssh")

    monkeypatch.setattr(api.services.portfolio, "snapshot", burst)

    answer = await api.get("/api/portfolio/summary?currency=USD")

    problem = await body(answer, 500)
    assert problem["code"] == "internal"
    assert "secret" not in await answer.text()
    assert answer.headers["X-Request-ID"] == problem["request_id"]


async def test_the_id_of_a_request_is_taken_over_when_it_is_harmless(api: RunningApi) -> None:
    for given, kept in (("my-id.1", True), ("x" * 65, False), ('"><script>', False)):
        for path in ("/api/portfolio/summary", "/api/user/profile", "/api/nothing"):
            answer = await api.get(path, headers={"X-Request-ID": given})
            said = json.loads(await answer.text())
            shown = said["request_id"] if answer.status == 404 else said["meta"]["request_id"]
            assert answer.headers["X-Request-ID"] == shown
            assert (shown == given) == kept


async def test_every_answer_has_the_security_headers(api: RunningApi) -> None:
    for path in ("/api/portfolio/summary", "/api/user/profile", "/api/nothing", "/health/live"):
        headers = (await api.get(path)).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "Server" not in headers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example"])
async def test_a_foreign_name_is_not_answered(api: RunningApi, host: str) -> None:
    for path in ("/api/portfolio/summary", "/api/user/profile", "/health/live"):
        answer = await api.get(path, headers={"Host": host})
        assert (await body(answer, 421))["code"] == "host_not_allowed"


async def test_too_many_requests_are_told_when_to_come_back(
    sqlite_settings: DatabaseSettings, tmp_path: Path
) -> None:
    settings = ApiSettings(port=0, requests_per_minute=20)
    async with serve_api(sqlite_settings, tmp_path, settings) as api:
        await api.set_up()
        for path in ("/api/portfolio/summary", "/api/user/profile"):
            answers = [await api.get(path) for _ in range(25)]
            assert answers[-1].status == 429
            assert int(answers[-1].headers["Retry-After"]) >= 1


async def test_the_document_promises_problems_and_nothing_stock(api: RunningApi) -> None:
    document = await body(await api.get("/api/openapi.json"))

    assert "HTTPValidationError" not in document["components"]["schemas"]
    codes = document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    assert codes == list(registry())
    seen: set[str] = set()
    for verb, path, operation in await operations(api):
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", operation["operationId"]), path
        assert operation["operationId"] not in seen
        seen.add(operation["operationId"])
        assert operation["tags"]
        assert operation["description"]
        for status, answer in operation["responses"].items():
            kinds = set(answer.get("content", {}))
            if int(status) >= 400 and status != "503":
                assert kinds == {"application/problem+json"}, (verb, path, status)


async def test_decimals_are_strings_in_the_document(api: RunningApi) -> None:
    document = await body(await api.get("/api/openapi.json"))

    value = document["components"]["schemas"]["PriceView"]["properties"]["value"]
    assert value["type"] == "string"
    assert re.compile(value["pattern"]).match("0.00000001")
    assert not re.compile(value["pattern"]).match("1E-8")


async def test_health_answers_without_a_login(api: RunningApi) -> None:
    async with aiohttp.ClientSession() as nobody:
        for path in ("/health/live", "/health/ready", "/api/system/version"):
            async with nobody.get(api.url + path) as answer:
                assert answer.status == 200


async def test_readiness_says_what_is_down(api: RunningApi) -> None:
    api.health.register("disk", lambda: ComponentHealth("disk", "down", "full"))

    ready = await body(await api.get("/health/ready"), 503)
    assert ready["reasons"][0]["detail"] == "full"
    assert (await api.get("/health/live")).status == 200
    assert (await body(await api.get("/api/system/status"), 503))["status"] == "down"
