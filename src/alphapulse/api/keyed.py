"""Keyed requests: the header that names a request, and the answer to a repeat of it."""

import hashlib
from typing import Annotated, Any

from fastapi import Header
from starlette.requests import Request
from starlette.responses import Response

from alphapulse.api.problems import MEDIA_TYPE
from alphapulse.api.schemas.base import Input
from alphapulse.domain.identifiers import UserId
from alphapulse.services.idempotency import KEY_LENGTH_MAX, Answer, RequestKey

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=KEY_LENGTH_MAX,
        description="Your name for this request, a new one for each. The same one again, with the"
        " same body, is answered as before and does nothing.",
        examples=["5f1c9c2e-3b7a-4d6e-8f0a-1b2c3d4e5f60"],
    ),
]

REPLAYED: dict[str, Any] = {
    "Idempotency-Replayed": {
        "description": "`true` on the answer to a repeat.",
        "schema": {"type": "string"},
    }
}


def key_of(user_id: UserId, key: str, request: Request, body: Input) -> RequestKey:
    """The key with a fingerprint of what came with it."""
    said = f"{request.method} {request.url.path}\n{body.model_dump_json()}"
    return RequestKey(user_id, key, hashlib.blake2b(said.encode(), digest_size=16).hexdigest())


def response_of(answer: Answer) -> Response:
    """What was said, now or the first time."""
    media_type = MEDIA_TYPE if answer.status >= 400 else "application/json"
    response = Response(answer.body, answer.status, media_type=media_type)
    if answer.is_replay:
        response.headers["Idempotency-Replayed"] = "true"
    return response
