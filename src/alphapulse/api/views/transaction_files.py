"""Views of imports: a body as the file it describes, and what the file changes."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from alphapulse.api.schemas.base import WarningView
from alphapulse.api.schemas.ledger import PostingView
from alphapulse.api.schemas.transaction_files import (
    ContradictionView,
    DifferenceView,
    EffectView,
    ImportBody,
    ImportedBody,
    ImportView,
    MappingBody,
    RowView,
    SimilarView,
    UndoneBody,
)
from alphapulse.api.views.meta import plain_meta
from alphapulse.domain.identifiers import AccountId
from alphapulse.domain.ledger import Posting
from alphapulse.domain.transaction_files.imports import Import
from alphapulse.domain.transaction_files.mapping import ColumnMapping, Field
from alphapulse.domain.transaction_files.reading import MAPPINGS, FileFormat, Upload
from alphapulse.domain.transaction_files.rows import ReadEntry
from alphapulse.errors import InvalidInput
from alphapulse.services.idempotency import Answer
from alphapulse.services.transaction_import import Preview

SHOWN = 50
"""Of each group of entries; the counts tell of all."""


def upload_of(body: ImportBody) -> Upload:
    """Raises `InvalidInput` for a mapping that cannot be meant."""
    return Upload(
        account_id=AccountId(body.account_id),
        name=body.file_name,
        content=body.content,
        format=body.format,
        mapping=_mapping(body),
        from_account=body.from_account,
    )


def previewed(preview: Preview, now: datetime, request_id: str) -> ImportedBody:
    """The answer to a dry run."""
    warnings = []
    if preview.before:
        subject = tuple(one.id for one in preview.before)
        message = "The same file was imported before."
        warnings.append(WarningView(code="imported_before", message=message, subject=subject))
    return ImportedBody(
        meta=plain_meta(now, request_id, *warnings),
        imported=None,
        digest=preview.file.digest,
        difference=_difference(preview),
    )


class ImportComposer:
    """Puts what was done, and what was taken back, into answers."""

    def __init__(self, now: datetime, request_id: str) -> None:
        self._meta = plain_meta(now, request_id)

    def imported(self, done: Import, preview: Preview | None) -> Answer:
        body = ImportedBody(
            meta=self._meta,
            imported=import_view(done),
            digest=done.digest,
            difference=None if preview is None else _difference(preview),
        )
        return Answer(201, body.model_dump_json(), done.id)

    def undone(self, done: Import) -> Answer:
        body = UndoneBody(meta=self._meta, undone=import_view(done))
        return Answer(200, body.model_dump_json(), done.id)


def import_view(one: Import) -> ImportView:
    return ImportView(
        id=one.id,
        account_id=one.account_id,
        user_id=one.user_id,
        imported_at=one.imported_at,
        file_name=one.file_name,
        file_format=one.file_format,
        digest=one.digest,
        new_count=one.entries,
        known_count=one.known,
        contradicting_count=one.contradicting,
        similar_count=one.similar,
        undone_at=one.undone_at,
        undone_by=one.undone_by,
    )


def _mapping(body: ImportBody) -> ColumnMapping:
    given = body.mapping
    if given is not None and body.format in {FileFormat.CSV, FileFormat.JSON}:
        raise InvalidInput("our own formats are read as they are", field="mapping")
    base = MAPPINGS.get(body.format, ColumnMapping(columns={}))
    mapping = base if given is None else _changed(base, given)
    if body.format is not FileFormat.GHOSTFOLIO and body.format not in {
        FileFormat.CSV,
        FileFormat.JSON,
    }:
        _require_columns(mapping)
    return mapping


def _changed(base: ColumnMapping, given: MappingBody) -> ColumnMapping:
    """``base`` with what the request names, and nothing else of it."""
    said = {name: getattr(given, name) for name in given.model_fields_set}
    for name in ("columns", "kinds"):
        said[name] = {**getattr(base, name), **getattr(given, name)}
    if "timezone" in said:
        said["timezone"] = _timezone(given.timezone)
    mapping = replace(base, **said)
    if mapping.group_separator == mapping.decimal_separator:
        reason = "is the decimal separator, too"
        raise InvalidInput(reason, field="mapping/group_separator")
    return mapping


def _require_columns(mapping: ColumnMapping) -> None:
    amounts = {Field.AMOUNT, Field.RECEIVED, Field.SENT, Field.FEE} & set(mapping.columns)
    if Field.AT not in mapping.columns or not amounts:
        reason = "name at least the column of the time and that of an amount"
        raise InvalidInput(reason, field="mapping/columns")
    for amount in amounts:
        asset = Field.ASSET if amount is Field.AMOUNT else Field(f"{amount}_asset")
        if asset not in mapping.columns:
            raise InvalidInput(f"name the column of {asset}, too", field="mapping/columns")


def _timezone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput("no such time zone", field="mapping/timezone") from None


def _difference(preview: Preview) -> DifferenceView:
    found = preview.difference
    return DifferenceView(
        new_count=len(found.new),
        known_count=len(found.known),
        contradicting_count=len(found.contradicting),
        similar_count=len(found.similar),
        skipped_count=preview.file.skipped,
        first_at=found.first_at,
        last_at=found.last_at,
        effects=[
            EffectView(
                asset=one.subject,
                sum_before=one.sum_before,
                change=one.change,
                after_opening=one.after_opening,
                opening_before=one.opening_before,
                opening_after=one.opening_after,
            )
            for one in found.effects
        ],
        new=[_row(one) for one in found.new[:SHOWN]],
        contradicting=[
            ContradictionView(told=_row(one.told), stored=_postings(one.stored))
            for one in found.contradicting[:SHOWN]
        ],
        similar=[
            SimilarView(
                told=_row(one.told), stored_key=one.stored.key, stored_at=one.stored.occurred_at
            )
            for one in found.similar[:SHOWN]
        ],
    )


def _row(told: ReadEntry) -> RowView:
    entry = told.entry
    return RowView(
        line=told.line,
        key=entry.key,
        kind=entry.kind,
        at=entry.occurred_at,
        postings=_postings(entry.postings),
    )


def _postings(postings: Iterable[Posting]) -> list[PostingView]:
    return [
        PostingView(book=one.book, asset=one.subject, quantity=one.quantity) for one in postings
    ]
