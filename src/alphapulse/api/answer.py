"""Problems as ASGI answers, for where no route is reached."""

from starlette.types import Send

from alphapulse.api.problems import Problem


async def send_problem(send: Send, problem: Problem, *extra: tuple[bytes, bytes]) -> None:
    """Answer with ``problem``."""
    body = problem.encode()
    await send(
        {
            "type": "http.response.start",
            "status": problem.status,
            "headers": [*problem.headers, (b"content-length", b"%d" % len(body)), *extra],
        }
    )
    await send({"type": "http.response.body", "body": body})
