"""Spoiling: what a client gets in place of the answer it asked for."""

import re
from dataclasses import replace

from aiohttp import web
from multidict import CIMultiDict

from alphapulse.simulator.faults import requests as faults
from alphapulse.simulator.listener import abort
from alphapulse.simulator.venues.face import Answer, Face, Request

HTML = "<html><head><title>Just a moment...</title></head><body>Checking your browser</body></html>"
GARBLED = {"html": HTML.encode(), "empty": b"", "null": b"null", "object": b"{}"}

# What Binance and Bybit say while they are worked on, by the end of the host's name.
MAINTENANCE = {
    ".bybit.com": (10016, "Service is restarting, please try again later."),
    "": (1, "System is under maintenance."),
}
STATUS_PATH = "/sapi/v1/system/status"

_SIGNATURE = re.compile(r"(?<=signature=)\w+")


def response(answer: Answer) -> web.Response:
    """An answer as it goes out."""
    return web.Response(
        status=answer.status,
        body=answer.body,
        headers={**answer.headers, "Content-Type": answer.content_type},
    )


def cut(http: web.Request) -> web.Response:
    """End the connection without an answer; the response never reaches anybody."""
    if http.transport is not None:
        abort(http.transport)
    return web.Response(status=503)


async def truncated(http: web.Request, answer: Answer) -> web.StreamResponse:
    """The head, half of the body, and the end of the connection."""
    half = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type})
    half.content_length = len(answer.body)
    await half.prepare(http)
    await half.write(answer.body[: len(answer.body) // 2])
    if http.transport is not None:
        http.transport.close()
    return half


def other_answer(face: Face, request: Request, fault: faults.RequestFault) -> Answer | None:
    """What a fault answers instead; ``None``: nothing, the connection ends."""
    match fault:
        case faults.Garbled():
            kind = "text/html" if fault.body == "html" else "application/json"
            return Answer(fault.status, GARBLED[fault.body], kind)
        case faults.Status():
            return _status(fault)
        case faults.VenueError():
            refusal = face.refusal(fault.code, fault.message)
            return replace(refusal, status=fault.status or refusal.status)
        case faults.Maintenance():
            return _maintenance(face, request)
        case _:
            return None


def missigned(request: Request) -> Request:
    """The request with another signature than its client's."""
    headers = CIMultiDict(request.headers)
    if "X-BAPI-SIGN" in headers:
        headers["X-BAPI-SIGN"] = "0" * 64
    return replace(
        request,
        query=_SIGNATURE.sub("0" * 64, request.query),
        body=_SIGNATURE.sub("0" * 64, request.body.decode("latin-1")).encode("latin-1"),
        headers=headers,
    )


def _status(fault: faults.Status) -> Answer:
    headers = {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
    kind = "application/json" if fault.body.startswith(("{", "[")) else "text/html"
    return Answer(fault.status, fault.body.encode(), kind, headers)


def _maintenance(face: Face, request: Request) -> Answer:
    if request.path == STATUS_PATH:
        return Answer.of({"status": 1, "msg": "system_maintenance"})
    words = next(words for end, words in MAINTENANCE.items() if request.host.endswith(end))
    return replace(face.refusal(*words), status=503)
