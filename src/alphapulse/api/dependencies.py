"""Dependency Injection: what a route is given. Made by the lifespan, found in each request."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from alphapulse.api.encoded import EncodedAnswers
from alphapulse.api.websocket.hub import Hub
from alphapulse.security.rate_limit import RateLimiter
from alphapulse.services.business_logic import Services


@dataclass(frozen=True, slots=True)
class Running:
    """``limits`` and ``write_limits`` count what each user does."""

    services: Services
    answers: EncodedAnswers
    hub: Hub
    limits: RateLimiter
    write_limits: RateLimiter


def running_of(connection: HTTPConnection) -> Running:
    """What runs, for code that holds a request or a WebSocket."""
    return cast(Running, connection.state.running)


def _services(connection: HTTPConnection) -> Services:
    return running_of(connection).services


def _request_id(connection: HTTPConnection) -> str:
    return cast(str, connection.state.request_id)


RunningNow = Annotated[Running, Depends(running_of)]
AllServices = Annotated[Services, Depends(_services)]
RequestId = Annotated[str, Depends(_request_id)]
