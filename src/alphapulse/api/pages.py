"""Pages: what a person sees before there is a dashboard. All of it comes from this server.

Start page, first set-up, and the documentation of routes, live data and errors.
"""

from collections.abc import Callable
from html import escape
from importlib import resources
from importlib.resources.abc import Traversable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from alphapulse.api import problems
from alphapulse.api.headers import PAGE_SECURITY
from alphapulse.api.websocket.asyncapi import describe

_OWN = resources.files("alphapulse.api") / "assets"
_SWAGGER = resources.files("fastapi_swagger") / "resources"

_PAGES = {
    "/": _OWN / "start.html",
    "/setup": _OWN / "setup.html",
    "/docs": _OWN / "docs.html",
}
_ASSETS = {
    "page.css": (_OWN / "page.css", "text/css"),
    "setup.js": (_OWN / "setup.js", "text/javascript"),
    "docs.js": (_OWN / "docs.js", "text/javascript"),
    "swagger-ui.css": (_SWAGGER / "swagger-ui.css", "text/css"),
    "swagger-ui-bundle.js": (_SWAGGER / "swagger-ui-bundle.js", "text/javascript"),
}


def routes() -> list[Route]:
    """Every page and what it loads. None of them shows anything of a user."""
    files = {path: (file, "text/html") for path, file in _PAGES.items()}
    files |= {f"/assets/{name}": asset for name, asset in _ASSETS.items()}
    served = [_route(path, _file(*of)) for path, of in files.items()]
    return [
        *served,
        _route("/docs/errors", lambda: _page(_errors())),
        _route("/docs/stream", lambda: _page(_stream())),
        _route("/api/asyncapi.json", lambda: _json(describe())),
    ]


def _route(path: str, answer: Callable[[], Response]) -> Route:
    async def serve(request: Request) -> Response:
        return answer()

    return Route(path, serve, methods=["GET"], include_in_schema=False)


def _file(file: Traversable, kind: str) -> Callable[[], Response]:
    return lambda: _secured(Response(file.read_bytes(), media_type=kind))


def _page(html: str) -> Response:
    return _secured(Response(html, media_type="text/html"))


def _json(document: object) -> Response:
    return Response(msgspec.json.encode(document), media_type="application/json")


def _secured(response: Response) -> Response:
    for name, value in PAGE_SECURITY:
        response.headers[name.decode()] = value.decode()
    return response


def _errors() -> str:
    rows = "".join(
        f'<tr id="{kind.code}"><td><code>{kind.code}</code><td>{kind.status}'
        f"<td>{escape(kind.title)}<td>{escape(kind.fix)}"
        for kind in problems.registry().values()
    )
    return _document(
        "Errors",
        "Every answer that is not a success is a problem document (RFC 9457). Its <code>code</code>"
        " never changes its meaning.",
        f"<table><tr><th>Code<th>Status<th>What it means<th>What to do{rows}</table>",
    )


def _stream() -> str:
    document = describe()
    parts = []
    for name, schema in document["components"]["schemas"].items():
        fields = "".join(
            f"<tr><td><code>{escape(field)}</code><td>{escape(of.get('description', ''))}"
            for field, of in schema.get("properties", {}).items()
        )
        about = escape(schema.get("description", ""))
        parts.append(f'<h2 id="{name}">{name}</h2><p>{about}</p><table>{fields}</table>')
    channels = "".join(
        f"<tr><td><code>{escape(name)}</code><td>{escape(about)}"
        for name, about in document["x-channels"].items()
    )
    return _document(
        "Live data",
        escape(document["info"]["description"]),
        f"<h2>Channels</h2><table>{channels}</table>{''.join(parts)}",
    )


def _document(title: str, lead: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title} - AlphaPulse</title><link rel="icon" href="data:,">'
        '<link rel="stylesheet" href="/assets/page.css">'
        f'<main><p><a href="/docs">API</a> &middot; <a href="/docs/stream">Live data</a> &middot;'
        f' <a href="/docs/errors">Errors</a></p><h1>{title}</h1><p class="lead">{lead}</p>'
        f"{body}</main></html>"
    )
