"""Exception Handlers: every error that reaches the API becomes a problem, once, here."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path

from alphapulse.api import problems
from alphapulse.api.problems import FieldError, Problem, problem, problem_of
from alphapulse.errors import AlphaPulseError, InvalidInput, TooManyRequests

_KINDS = {
    400: problems.BAD_REQUEST,
    404: problems.NO_SUCH_PATH,
    405: problems.METHOD_NOT_ALLOWED,
    413: problems.BODY_TOO_LARGE,
    415: problems.UNSUPPORTED_MEDIA_TYPE,
}


def register(app: FastAPI) -> None:
    """Handle everything that routes and the framework raise."""
    allowed = _VerbTable(app)

    async def on_error(request: Request, error: AlphaPulseError) -> Response:
        path, request_id = _place(request)
        if isinstance(error, TooManyRequests):
            # The header tells of the rate that was too much; that of the address is not it.
            request.state.quota = error.facts.get("quota")
        return _response(problem_of(error, path=path, request_id=request_id))

    async def on_invalid(request: Request, error: RequestValidationError) -> Response:
        path, request_id = _place(request)
        found = tuple(_field_error(flaw) for flaw in error.errors())
        kind = problems.kind_of(InvalidInput)
        detail = found[0].detail if len(found) == 1 else f"{len(found)} fields are wrong."
        return _response(problem(kind, detail, path=path, request_id=request_id, errors=found))

    async def on_http(request: Request, error: HTTPException) -> Response:
        path, request_id = _place(request)
        kind = _KINDS.get(error.status_code, problems.INTERNAL)
        answer = _response(problem(kind, path=path, request_id=request_id))
        if kind is problems.METHOD_NOT_ALLOWED:
            answer.headers["allow"] = allowed.verbs(path)
        return answer

    async def on_bug(request: Request, error: Exception) -> Response:
        # What it was goes to the log alone, by the middleware that sees it raised again.
        path, request_id = _place(request)
        return _response(problem(problems.INTERNAL, path=path, request_id=request_id))

    app.exception_handler(AlphaPulseError)(on_error)
    app.exception_handler(RequestValidationError)(on_invalid)
    app.exception_handler(HTTPException)(on_http)
    app.exception_handler(Exception)(on_bug)


class _VerbTable:
    """Every verb of a path. The framework's own answer names those of its first route only."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def verbs(self, path: str) -> str:
        found = {
            verb
            for route in iter_route_contexts(self._app.routes)
            if route.path is not None and compile_path(route.path)[0].match(path)
            for verb in route.methods or ()
        }
        return ", ".join(sorted(found))


def _place(request: Request) -> tuple[str, str]:
    return request.url.path, request.state.request_id


def _response(answer: Problem) -> Response:
    response = Response(answer.encode(), answer.status, media_type=problems.MEDIA_TYPE)
    for name, value in answer.headers[1:]:
        response.headers[name.decode()] = value.decode()
    return response


def _field_error(flaw: dict[str, Any]) -> FieldError:
    """What pydantic found, without the value: it may be a secret."""
    location, *steps = flaw["loc"]
    return FieldError(
        pointer=_pointer(steps), location=str(location), code=flaw["type"], detail=flaw["msg"]
    )


def _pointer(steps: Sequence[object]) -> str:
    """RFC 6901."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)
