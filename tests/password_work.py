"""How much work each guess of a password was, whatever else the machine has to do."""

import pytest
from argon2 import Parameters, PasswordHasher, extract_parameters


def guesses_of(monkeypatch: pytest.MonkeyPatch) -> list[Parameters]:
    """A list that grows with each guess that is hashed, by all that decides what it costs."""
    guesses: list[Parameters] = []
    verify = PasswordHasher.verify

    def note_and_verify(hasher: PasswordHasher, stored: str, password: str) -> bool:
        guesses.append(extract_parameters(stored))
        return verify(hasher, stored, password)

    monkeypatch.setattr(PasswordHasher, "verify", note_and_verify)
    return guesses
