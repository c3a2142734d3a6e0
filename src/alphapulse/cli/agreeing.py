"""Agreeing: what may cost money is typed by a person, or asked for with ``--yes``."""

from typing import Annotated

import typer

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking; for programs.")]


def agree(word: str, *, yes: bool) -> None:
    """Go on when the person types ``word``, whatever its case.

    Raises:
        NotAgreed: another word, or nobody there to type one.
    """
    if yes:
        return
    from alphapulse.cli.console import talk
    from alphapulse.errors import NotAgreed

    talk.print(f"Type [bold]{word}[/] to go on: ", end="")
    try:
        typed = input()
    except EOFError:
        typed = ""
    if typed.strip().casefold() != word.casefold():
        raise NotAgreed("nothing was done", expected=word)
