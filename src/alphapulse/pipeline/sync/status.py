"""Status Tracking: what is fresh, what is not, why, and when the next try is."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from loguru import logger

from alphapulse.database.connection import Database
from alphapulse.domain.clock import Clock
from alphapulse.domain.events import SyncStatusChanged
from alphapulse.domain.identifiers import AccountId, ExchangeId
from alphapulse.domain.sync import StreamState, SyncKind, SyncState, SyncStatus
from alphapulse.errors import AlphaPulseError, Conflict, DatabaseError, RateLimited
from alphapulse.runtime.bus import EventBus
from alphapulse.runtime.retry import Backoff

StatusKey = tuple[ExchangeId, AccountId | None, SyncKind]

# A success that changes nothing but its time is told readers and the database only this often.
PUBLISH_EVERY = timedelta(seconds=5)
SAVE_EVERY = timedelta(seconds=60)


class StatusBoard:
    """Every `SyncStatus`, kept on the exchange loop; changes are published and saved."""

    def __init__(self, database: Database, bus: EventBus, clock: Clock) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._statuses: dict[StatusKey, SyncStatus] = {}
        self._published: dict[StatusKey, SyncStatus] = {}
        self._saved: dict[StatusKey, SyncStatus] = {}
        self._unsaved: set[StatusKey] = set()
        self._has_unsaved = asyncio.Event()

    @property
    def statuses(self) -> tuple[SyncStatus, ...]:
        return tuple(self._statuses.values())

    async def load(self) -> None:
        """Remember what was good before the last stop; it is stale until read again."""
        async with self._database.read() as tx:
            for status in await tx.sync_status.list():
                self._saved[status.key] = status

    def track(self, exchange: ExchangeId, account_id: AccountId | None, kind: SyncKind) -> "Track":
        """Begin (again) to follow one kind; it starts as pending, or stale where it was known."""
        key = (exchange, account_id, kind)
        saved = self._saved.get(key)
        if saved is None or self._silence_left(saved) <= timedelta():
            last_ok_at = saved.last_ok_at if saved else None
            state = SyncState.STALE if last_ok_at else SyncState.PENDING
            saved = SyncStatus(exchange, account_id, kind, state, last_ok_at=last_ok_at)
        self.set(replace(saved, stream=None))
        return Track(self, key, self._clock)

    def silence_s(self, exchange: ExchangeId) -> float:
        """Seconds for which the exchange asked to be sent nothing, maybe before the last stop."""
        told = (self._silence_left(s) for s in self._saved.values() if s.exchange == exchange)
        return max(told, default=timedelta()).total_seconds()

    def _silence_left(self, status: SyncStatus) -> timedelta:
        if status.error_code != RateLimited.code or status.next_try_at is None:
            return timedelta()
        return max(timedelta(), status.next_try_at - self._clock.now())

    def forget_account(self, account_id: AccountId) -> None:
        """Drop a removed account; the database dropped its rows with it."""
        self._forget({key for key in self._statuses if key[1] == account_id})

    def forget_exchange(self, exchange: ExchangeId) -> None:
        """Drop the public side of an exchange that is no longer followed."""
        self._forget({key for key in self._statuses if key[:2] == (exchange, None)})

    def _forget(self, keys: set[StatusKey]) -> None:
        for statuses in (self._statuses, self._published, self._saved):
            for key in keys & statuses.keys():
                del statuses[key]
        self._unsaved -= keys

    def get(self, key: StatusKey) -> SyncStatus:
        return self._statuses[key]

    def set(self, status: SyncStatus) -> None:
        """Replace one status; tell and save it when it says something new."""
        self._statuses[status.key] = status
        if _is_news(status, self._published.get(status.key), PUBLISH_EVERY):
            self._published[status.key] = status
            self._bus.publish(SyncStatusChanged(status))
        if _is_news(status, self._saved.get(status.key), SAVE_EVERY):
            self._unsaved.add(status.key)
            self._has_unsaved.set()

    async def keep_saving(self) -> None:
        """Forever: write what changed; while the database is away, keep it and try again."""
        backoff, failures = Backoff(max_s=5.0), 0
        while True:
            await self._has_unsaved.wait()
            try:
                await self._save()
                failures = 0
            except (DatabaseError, Conflict) as error:  # a conflict: its account was just removed
                if failures == 0:
                    logger.bind(error=str(error)).warning("sync status not saved; will try again")
                failures += 1
                await asyncio.sleep(backoff.delay_s(failures))

    async def _save(self) -> None:
        statuses = [self._statuses[key] for key in self._unsaved]
        async with self._database.begin() as tx:
            for status in statuses:
                await tx.sync_status.save(status)
        for status in statuses:
            self._saved[status.key] = status
            if self._statuses.get(status.key) is status:
                self._unsaved.discard(status.key)
        if not self._unsaved:
            self._has_unsaved.clear()


def _is_news(status: SyncStatus, known: SyncStatus | None, every: timedelta) -> bool:
    if known is None or _meaning(status) != _meaning(known):
        return True
    if status.last_ok_at is None or known.last_ok_at is None:
        return status.last_ok_at is not known.last_ok_at
    return status.last_ok_at - known.last_ok_at >= every


def _meaning(status: SyncStatus) -> tuple[object, ...]:
    percent = None if status.progress is None else int(status.progress * 100)
    return (status.state, status.error_code, status.error_message, status.stream, percent)


class Track:
    """One kind's way of saying how it went."""

    def __init__(self, board: StatusBoard, key: StatusKey, clock: Clock) -> None:
        self._board = board
        self._key = key
        self._clock = clock
        self._log = logger.bind(exchange=key[0], account_id=key[1], kind=key[2])

    @property
    def status(self) -> SyncStatus:
        return self._board.get(self._key)

    def succeeded(self, *, next_in_s: float | None = None) -> None:
        """The value is good as of now."""
        before, now = self.status, self._clock.now()
        if before.failures:
            self._log.bind(failures=before.failures).info("sync works again")
        self._board.set(
            replace(
                before,
                state=SyncState.OK,
                last_ok_at=now,
                last_tried_at=now,
                next_try_at=_after(self._clock, next_in_s) or before.next_try_at,
                failing_since=None,
                failures=0,
                error_code=None,
                error_message=None,
                error_fix=None,
            )
        )

    def failed(self, error: AlphaPulseError, state: SyncState, *, next_in_s: float | None) -> None:
        """The last good value stays; it is not current any more, and this is why."""
        before, now = self.status, self._clock.now()
        if before.error_code != error.code:
            self._log.bind(error=str(error), code=error.code).warning("sync failed")
        if state is SyncState.STALE and before.last_ok_at is None:
            state = SyncState.PENDING
        self._board.set(
            replace(
                before,
                state=state,
                last_tried_at=now,
                next_try_at=_after(self._clock, next_in_s),
                failing_since=before.failing_since or now,
                failures=before.failures + 1,
                error_code=error.code,
                error_message=error.message,
                error_fix=error.fix,
            )
        )

    @property
    def is_limited(self) -> bool:
        """Whether the venue's wish for silence is what keeps it from being good."""
        return self.status.error_code == RateLimited.code

    def released(self) -> None:
        """The venue may be asked again, and there is nothing to ask: the value is as good as it
        was."""
        before = self.status
        self._board.set(
            replace(
                before,
                state=SyncState.PENDING if before.last_ok_at is None else SyncState.OK,
                failing_since=None,
                failures=0,
                error_code=None,
                error_message=None,
                error_fix=None,
            )
        )

    def late(self) -> None:
        """What was good was due to be read again and was not: nobody knows whether it still is."""
        before = self.status
        if before.state is SyncState.OK:
            self._log.warning("sync is late")
            self._board.set(replace(before, state=SyncState.STALE, failing_since=self._clock.now()))

    def streaming(self, stream: StreamState) -> None:
        """How the values come now."""
        if self.status.stream is not stream:
            self._board.set(replace(self.status, stream=stream))

    def progressed(self, progress: float | None) -> None:
        """How much of a history is read, 0..1; ``None`` when all of it is."""
        if self.status.progress != progress:
            self._board.set(replace(self.status, progress=progress))

    def paused(self) -> None:
        """By the user; nothing is tried."""
        self._board.set(replace(self.status, state=SyncState.PAUSED, next_try_at=None))


def _after(clock: Clock, seconds: float | None) -> datetime | None:
    return None if seconds is None else clock.now() + timedelta(seconds=seconds)
