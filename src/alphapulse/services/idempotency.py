"""Idempotency: a request that comes again is answered again, and done once.

The key is stored in the transaction that makes what was asked for durable, the answer after it.
A process that ended in between leaves a key without an answer: it is given from what became of the
thing since. What was refused before that transaction leaves nothing behind.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from loguru import logger

from alphapulse.database.connection import Database
from alphapulse.database.repositories.idempotency import StoredRequest
from alphapulse.domain.identifiers import UserId
from alphapulse.errors import DatabaseError, IdempotencyKeyReused, InProgress

KEY_LENGTH_MAX = 255


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A caller's key, and what came with it."""

    user_id: UserId
    key: str
    body_hash: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said over HTTP. ``subject`` names what was made."""

    status: int
    body: str
    subject: str | None
    is_replay: bool = False


class IdempotentRequests:
    """Every keyed request of this process. Who asked may go away: the work goes on and its answer
    is kept."""

    def __init__(self, database: Database, process: str) -> None:
        self._database = database
        self._process = process
        self._under_way: dict[tuple[UserId, str], tuple[str, asyncio.Task[Answer]]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Until the block ends; what is under way then is waited for."""
        try:
            yield
        finally:
            tasks = [task for _, task in self._under_way.values()]
            await asyncio.gather(*tasks, return_exceptions=True)

    def row(self, request: RequestKey, subject: str, at: datetime) -> StoredRequest:
        """What is to be stored together with ``subject``."""
        return StoredRequest(
            request.user_id, request.key, request.body_hash, self._process, at, subject
        )

    async def once(
        self,
        request: RequestKey,
        work: Callable[[], Awaitable[Answer]],
        resume: Callable[[str], Awaitable[Answer]],
    ) -> Answer:
        """Do ``work``, or answer as before.

        Args:
            work: stores `row` in the transaction that counts.
            resume: answers for a subject whose process ended before it did.

        Raises:
            IdempotencyKeyReused: the key came with another body before.
            InProgress: the same request is still under way.
        """
        name = (request.user_id, request.key)
        if (running := self._under_way.get(name)) is not None:
            _require_same(request, running[0])
            raise InProgress("the first request with this key is still under way")
        task = asyncio.create_task(self._answer(request, work, resume), name="keyed request")
        self._under_way[name] = (request.body_hash, task)
        task.add_done_callback(lambda _: self._under_way.pop(name, None))
        return await asyncio.shield(task)

    async def _answer(
        self,
        request: RequestKey,
        work: Callable[[], Awaitable[Answer]],
        resume: Callable[[str], Awaitable[Answer]],
    ) -> Answer:
        async with self._database.read() as tx:
            stored = await tx.idempotency_keys.find(request.user_id, request.key)
        if stored is None:
            answer = await work()
            await self._keep(request, answer)
            return answer
        _require_same(request, stored.request_hash)
        if stored.status is not None and stored.body is not None:
            return Answer(stored.status, stored.body, stored.subject, is_replay=True)
        assert stored.subject is not None
        answer = await resume(stored.subject)
        await self._keep(request, answer)
        return replace(answer, is_replay=True)

    async def _keep(self, request: RequestKey, answer: Answer) -> None:
        """A repeat of one that could not be kept is answered from what is stored of its subject."""
        try:
            async with self._database.begin() as tx:
                await tx.idempotency_keys.answer(
                    request.user_id, request.key, answer.status, answer.body
                )
        except DatabaseError as error:
            logger.bind(subject=answer.subject, error=str(error)).warning(
                "an answer could not be kept for a repeat of its request"
            )


def _require_same(request: RequestKey, body_hash: str) -> None:
    if request.body_hash != body_hash:
        raise IdempotencyKeyReused("this key came with another body before")
