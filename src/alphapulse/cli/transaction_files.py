"""`alphapulse export` and `alphapulse import`: transactions as files, with a look before a leap."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from alphapulse.cli.agreeing import Yes, agree
from alphapulse.cli.console import grouped, out, print_json, print_table, talk
from alphapulse.cli.options import AsJson, DataDir, Demo, data_dir

PATH = "/api/portfolio/import"

Account = Annotated[str, typer.Option("--account", "-a", help="The account it goes into.")]
Accounts = Annotated[
    list[str] | None, typer.Option("--account", "-a", help="Only this one. [default: all]")
]


def export(
    file: Annotated[Path, typer.Argument(help="To write; - for standard output.")],
    form: Annotated[
        str | None, typer.Option("--format", help="csv, json or parquet. [default: by the name]")
    ] = None,
    account: Accounts = None,
    kind: Annotated[list[str] | None, typer.Option(help="fill, fee, deposit ...")] = None,
    since: Annotated[str | None, typer.Option("--from", help="2026-01-01T00:00:00Z")] = None,
    to: Annotated[str | None, typer.Option(help="Before this time.")] = None,
    folder: DataDir = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Write every movement into a file that can be imported again.

    \b
    alphapulse export transactions.csv
    """
    from alphapulse.cli.client import LocalClient

    query = [("format", form or file.suffix.lstrip(".") or "csv")]
    query += [("account", one) for one in account or ()] + [("kind", one) for one in kind or ()]
    query += [(name, at) for name, at in (("from", since), ("to", to)) if at is not None]
    client = LocalClient(data_dir(folder, demo=demo))
    if str(file) == "-":
        import sys

        client.download("/api/portfolio/export", query, sys.stdout.buffer)
        return
    # Under another name until it is whole: half a file must not pass for one.
    part = file.with_name(f"{file.name}.part")
    try:
        with part.open("wb") as sink:
            size_bytes = client.download("/api/portfolio/export", query, sink)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    if as_json:
        print_json({"file": str(file), "size_bytes": size_bytes})
    else:
        talk.print(f"Written to [bold]{escape(str(file))}[/].")


def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="To read.")],
    account: Account,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="csv, json, koinly, cointracking, ghostfolio, mapped. [default: by the name]",
        ),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="JSON that says how columns are read."),
    ] = None,
    from_account: Annotated[
        str | None, typer.Option(help="Whose rows, of a file with several accounts.")
    ] = None,
    include_similar: Annotated[
        bool, typer.Option(help="Also what seems to be there under another key.")
    ] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Import it, once you agree.")] = False,
    yes: Yes = False,
    folder: DataDir = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Show what a file of transactions would change; with --apply, import what is new.

    \b
    alphapulse import koinly.csv --account binance-1a2b3c4d --format koinly
    """
    from alphapulse.cli.client import LocalClient

    client = LocalClient(data_dir(folder, demo=demo))
    body: dict[str, Any] = {
        "account_id": account,
        "file_name": file.name[:200],
        "format": form or ("json" if file.suffix == ".json" else "csv"),
        "content": _text(file),
        "mapping": None if mapping is None else _document(mapping),
        "from_account": from_account,
        "include_similar": include_similar,
    }
    shown = client.post(PATH, body)
    if not as_json:
        _show(shown)
    if not apply:
        _say(shown, as_json=as_json)
        return
    agree("import", yes=yes)
    done = client.post(PATH, {**body, "dry_run": False})
    if as_json:
        print_json(done)
    else:
        imported = done["imported"]
        out.print(f"Imported {imported['new_count']} entries as {imported['id']}.")


def imports(folder: DataDir = None, demo: Demo = False, as_json: AsJson = False) -> None:
    """List the files that were imported, the newest first."""
    from alphapulse.cli.client import LocalClient

    page = LocalClient(data_dir(folder, demo=demo)).get("/api/portfolio/imports")
    if as_json:
        print_json(page)
        return
    print_table(
        ("ID", "AT", "ACCOUNT", "FILE", "ENTRIES", "UNDONE"),
        [
            (
                *(one["id"], one["imported_at"], one["account_id"], one["file_name"]),
                *(one["new_count"], one["undone_at"]),
            )
            for one in page["items"]
        ],
        numbers=("ENTRIES",),
    )


def undo_import(
    import_id: Annotated[str, typer.Argument(help="As `alphapulse imports` lists it.")],
    yes: Yes = False,
    folder: DataDir = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Take a whole import back: an entry reverses each of its entries."""
    from alphapulse.cli.client import LocalClient

    client = LocalClient(data_dir(folder, demo=demo))
    agree("undo", yes=yes)
    body = client.post(f"/api/portfolio/imports/{import_id}/undo", {})
    undone = body["undone"]
    if as_json:
        print_json(body)
        return
    out.print(f"Took back {undone['new_count']} entries of {undone['file_name']}.")


def _text(file: Path) -> str:
    from alphapulse.errors import InvalidInput

    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput("the file is not UTF-8", field=file.name) from error


def _document(file: Path) -> object:
    from alphapulse.errors import InvalidInput

    try:
        return json.loads(_text(file))
    except ValueError as error:
        raise InvalidInput("the file is not JSON", field=file.name) from error


def _say(shown: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(shown)
    else:
        talk.print("Nothing was written; [bold]--apply[/] imports it.")


def _show(shown: dict[str, Any]) -> None:
    found = shown["difference"]
    print_table(
        ("NEW", "KNOWN", "CONTRADICTING", "SIMILAR", "OF OTHER ACCOUNTS", "FIRST", "LAST"),
        [
            (
                *(found["new_count"], found["known_count"], found["contradicting_count"]),
                *(found["similar_count"], found["skipped_count"]),
                *(found["first_at"], found["last_at"]),
            )
        ],
    )
    if found["effects"]:
        columns = ("ASSET", "NOW", "CHANGE", "AFTER OPENING", "OPENING NOW", "OPENING THEN")
        names = ("sum_before", "change", "after_opening", "opening_before", "opening_after")
        print_table(
            columns,
            [(one["asset"], *(grouped(one[name]) for name in names)) for one in found["effects"]],
            numbers=columns[1:],
        )
    for one in found["contradicting"]:
        told = one["told"]
        talk.print(f"[yellow]contradicts[/] line {told['line']}: {escape(told['key'])}")
    for one in found["similar"]:
        line, key = one["told"]["line"], escape(one["stored_key"])
        talk.print(f"[yellow]similar[/] line {line}: there already as {key}")
    for warning in shown["meta"]["warnings"]:
        talk.print(f"[yellow]{escape(warning['message'])}[/] {', '.join(warning['subject'])}")
