"""Import of transactions: what a file would change, the change itself, and taking it back."""

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from loguru import logger

from alphapulse.database.connection import Database
from alphapulse.database.queries.ledger import EntryFilter, entries_in_order
from alphapulse.database.repositories.ledger import Key, KnownEntry
from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.account import Account
from alphapulse.domain.clock import Clock
from alphapulse.domain.events import LedgerChanged
from alphapulse.domain.identifiers import AccountId
from alphapulse.domain.ledger import Entry, reversal_of
from alphapulse.domain.transaction_files.difference import (
    SIMILAR_WITHIN,
    Contradiction,
    Difference,
    Similar,
    SimilarEntries,
    effects_of,
)
from alphapulse.domain.transaction_files.imports import Import, reversal_key
from alphapulse.domain.transaction_files.reading import ReadFile, Upload, read_file
from alphapulse.domain.transaction_files.rows import ReadEntry
from alphapulse.errors import Conflict
from alphapulse.runtime.beside import beside
from alphapulse.runtime.bus import EventBus
from alphapulse.services.idempotency import Answer, IdempotentRequests, RequestKey
from alphapulse.services.viewer import Caller, Viewer, load_account

READ_AT_ONCE, WRITTEN_AT_ONCE = 100, 250
"""Entries, without letting the rest of the loop have a turn: some 10 ms, and 40."""

CLOCKS_APART = timedelta(days=1)
"""A file may be so far ahead of our clock: a zone that was meant otherwise, not a future."""

LISTED_MAX = 500

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Preview:
    """What a file holds, and what it would change."""

    file: ReadFile
    difference: Difference
    before: tuple[Import, ...] = ()
    """Imports of the same file that were not undone."""


class ImportService:
    """A file is read beside the loop, and written in one transaction: whole or not at all."""

    def __init__(
        self, database: Database, requests: IdempotentRequests, bus: EventBus, clock: Clock
    ) -> None:
        self._database = database
        self._requests = requests
        self._bus = bus
        self._clock = clock

    async def preview(self, viewer: Viewer, upload: Upload, *, all_similar: bool) -> Preview:
        """What `run` would do now. Nothing is written.

        Args:
            viewer: who may see the account.
            upload: the file.
            all_similar: take what seems to be there under another key as new.

        Raises:
            NotFound: no such account of the viewer.
            BadRows: the file cannot be read.
        """
        file = await self._read(upload)
        async with self._database.read() as unit:
            account = await load_account(unit, viewer, upload.account_id)
            imports = await unit.imports.list([account.id], limit=LISTED_MAX)
            return Preview(
                file,
                await _difference(unit, account, file.entries, all_similar=all_similar),
                tuple(one for one in imports if one.digest == file.digest and not one.undone_at),
            )

    async def run(
        self,
        caller: Caller,
        upload: Upload,
        key: RequestKey,
        compose: Callable[[Import, Preview | None], Answer],
        *,
        all_similar: bool,
    ) -> Answer:
        """Record what is new of a file, once.

        Raises:
            NotFound: no such account of the caller.
            BadRows: the file cannot be read; nothing was written.
            IdempotencyKeyReused: the key came with another body before.
        """

        async def work() -> Answer:
            done, preview = await self._run(caller, upload, key, all_similar=all_similar)
            return compose(done, preview)

        async def resume(import_id: str) -> Answer:
            return compose(await self._load(import_id), None)

        return await self._requests.once(key, work, resume)

    async def list(self, accounts: Iterable[Account]) -> tuple[Import, ...]:
        """The newest first, at most 500."""
        async with self._database.read() as unit:
            return await unit.imports.list({one.id for one in accounts}, limit=LISTED_MAX)

    async def undo(
        self, caller: Caller, import_id: str, key: RequestKey, compose: Callable[[Import], Answer]
    ) -> Answer:
        """Take every entry of an import back by one that reverses it, at its own time.

        Both stay in the ledger. The keys are free again: the same file may be imported anew.

        Raises:
            NotFound: no such import of the caller.
            Conflict: it was undone before.
        """

        async def work() -> Answer:
            return compose(await self._undo(caller, import_id, key))

        async def resume(import_id: str) -> Answer:
            return compose(await self._load(import_id))

        return await self._requests.once(key, work, resume)

    async def _read(self, upload: Upload) -> ReadFile:
        latest = self._clock.now() + CLOCKS_APART
        return await beside(read_file, upload, latest)

    async def _load(self, import_id: str) -> Import:
        async with self._database.read() as unit:
            return await unit.imports.load(import_id)

    async def _run(
        self, caller: Caller, upload: Upload, key: RequestKey, *, all_similar: bool
    ) -> tuple[Import, Preview]:
        file = await self._read(upload)
        now = self._clock.now()
        # Compared before it is written: others wait as long as a transaction writes.
        async with self._database.read() as unit:
            account = await load_account(unit, caller.viewer, upload.account_id)
            newest_id = await unit.ledger.newest_id()
            found = await _difference(unit, account, file.entries, all_similar=all_similar)
        async with self._database.begin() as unit:
            if await unit.ledger.newest_id() != newest_id:
                found = await _difference(unit, account, file.entries, all_similar=all_similar)
            done = Import(
                id=secrets.token_hex(8),
                account_id=account.id,
                user_id=caller.user_id,
                imported_at=now,
                file_name=upload.name,
                file_format=upload.format,
                digest=file.digest,
                entries=len(found.new),
                known=len(found.known),
                contradicting=len(found.contradicting),
                similar=len(found.similar),
            )
            await unit.idempotency_keys.add(self._requests.row(key, done.id, now))
            await unit.imports.add(done)
            for portion in _portions(found.new, WRITTEN_AT_ONCE):
                entries = [_with_source(one.entry, upload.name) for one in portion]
                await unit.ledger.record(entries, now)
                ids = await unit.ledger.ids(entries)
                await unit.imports.link(done.id, ids.values())
        if done.entries:
            self._bus.publish(LedgerChanged(account.id))
        logger.bind(account_id=account.id, import_id=done.id, entries=done.entries).info(
            "transactions were imported from a file"
        )
        return done, Preview(file, found)

    async def _undo(self, caller: Caller, import_id: str, key: RequestKey) -> Import:
        now = self._clock.now()
        async with self._database.begin() as unit:
            done = await unit.imports.load(import_id)
            await load_account(unit, caller.viewer, done.account_id)
            if done.undone_at is not None:
                raise Conflict("this import was undone before", import_id=import_id)
            await unit.idempotency_keys.add(self._requests.row(key, import_id, now))
            last = 0
            while stored := await unit.imports.entries(
                import_id, after=last, limit=WRITTEN_AT_ONCE
            ):
                note = f"takes back the import of {done.file_name}"
                reversals = [
                    reversal_of(one.entry, reversal_key(import_id, one.entry.key), note)
                    for one in stored
                ]
                await unit.ledger.record(reversals, now)
                last = stored[-1].id
            await unit.imports.mark_undone(import_id, caller.user_id, now)
        self._bus.publish(LedgerChanged(done.account_id))
        logger.bind(account_id=done.account_id, import_id=import_id).info("an import was undone")
        return replace(done, undone_at=now, undone_by=caller.user_id)


async def _difference(
    unit: UnitOfWork, account: Account, told: Sequence[ReadEntry], *, all_similar: bool
) -> Difference:
    stored: dict[Key, KnownEntry] = {}
    for portion in _portions(told, READ_AT_ONCE):
        stored |= await unit.ledger.known([one.entry for one in portion])
    unknown, known, contradicting = [], [], []
    for one in told:
        before = stored.get((account.id, one.entry.key))
        if before is None:
            unknown.append(one)
        elif before.postings == one.entry.postings:
            known.append(one)
        else:
            contradicting.append(Contradiction(one, before.postings))
    similar = () if all_similar else await _similar(unit, account.id, unknown)
    left_out = {one.told.entry.key for one in similar}
    new = tuple(one for one in unknown if one.entry.key not in left_out)
    return Difference(
        new=new,
        known=tuple(known),
        contradicting=tuple(contradicting),
        similar=similar,
        effects=effects_of(
            (one.entry for one in new),
            await unit.ledger.sums(account.id),
            await unit.reconciliations.books(account.id),
        ),
    )


async def _similar(
    unit: UnitOfWork, account_id: AccountId, told: Sequence[ReadEntry]
) -> tuple[Similar, ...]:
    if not told:
        return ()
    times = [one.entry.occurred_at for one in told]
    wanted = EntryFilter(
        account_ids={account_id},
        start=min(times) - SIMILAR_WITHIN,
        end=max(times) + SIMILAR_WITHIN,
    )
    newest_id = await unit.ledger.newest_id()
    search = SimilarEntries(told)
    page = await entries_in_order(unit, wanted, newest_id=newest_id, limit=READ_AT_ONCE)
    while page:
        for one in page:
            search.look_at(one.entry)
        page = await entries_in_order(
            unit, wanted, newest_id=newest_id, after=page[-1], limit=READ_AT_ONCE
        )
    return search.found


def _with_source(entry: Entry, file_name: str) -> Entry:
    return entry if entry.note else replace(entry, note=f"imported from {file_name}")


def _portions(values: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
