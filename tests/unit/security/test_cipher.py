"""Cipher: a secret opens with its key at its place, and nowhere else."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse.errors import SecretUnreadable
from alphapulse.observability import redaction
from alphapulse.security.cipher import Cipher, Place
from alphapulse.security.key_file import MasterKey

MASTER = MasterKey(1, b"m" * 32)
PLACE = Place(table="credentials", row_id="a-1", field="api_secret", owner="u-1")


@given(st.text())
def test_what_was_sealed_opens_as_it_was(secret: str) -> None:
    assert Cipher(MASTER).open(Cipher(MASTER).seal(secret, PLACE), PLACE) == secret


@pytest.mark.parametrize("part", ["table", "row_id", "field", "owner"])
def test_a_sealed_secret_moved_to_another_place_does_not_open(part: str) -> None:
    cipher = Cipher(MASTER)
    sealed = cipher.seal("secret", PLACE)
    elsewhere = replace(PLACE, **{part: "other"})
    with pytest.raises(SecretUnreadable):
        cipher.open(sealed, elsewhere)


def test_places_that_run_together_are_not_the_same() -> None:
    cipher = Cipher(MASTER)
    sealed = cipher.seal("secret", Place("t", "a", "b|c", "u"))
    with pytest.raises(SecretUnreadable):
        cipher.open(sealed, Place("t", "a|b", "c", "u"))


def test_no_changed_cut_or_longer_text_opens() -> None:
    cipher = Cipher(MASTER)
    sealed = cipher.seal("secret", PLACE)
    changed = [
        sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(len(sealed))
    ]
    cut = [sealed[:length] for length in range(len(sealed))]
    for text in (*changed, *cut, sealed + b"\0"):
        with pytest.raises(SecretUnreadable):
            cipher.open(text, PLACE)


@pytest.mark.parametrize("other", [MasterKey(1, b"n" * 32), MasterKey(2, b"m" * 32)])
def test_another_master_key_or_version_does_not_open_it(other: MasterKey) -> None:
    with pytest.raises(SecretUnreadable):
        Cipher(other).open(Cipher(MASTER).seal("secret", PLACE), PLACE)


def test_the_data_key_of_one_record_does_not_open_another() -> None:
    cipher = Cipher(MASTER)
    one, other = (cipher.seal("secret", PLACE) for _ in range(2))
    assert one != other
    with pytest.raises(SecretUnreadable):
        cipher.open(one[:61] + other[61:], PLACE)


def test_a_sealed_secret_shows_neither_itself_nor_its_place() -> None:
    sealed = Cipher(MASTER).seal("canary-secret", PLACE)
    for text in (b"canary", b"credentials", b"a-1", b"u-1"):
        assert text not in sealed


def test_a_secret_that_was_sealed_or_opened_is_hidden_from_the_logs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = "a-passphrase-of-okx"
    monkeypatch.setattr(redaction, "_known", ())
    assert secret in redaction.redacted(secret)
    sealed = Cipher(MASTER).seal(secret, PLACE)
    assert secret not in redaction.redacted(secret)

    monkeypatch.setattr(redaction, "_known", ())
    Cipher(MASTER).open(sealed, PLACE)
    assert secret not in redaction.redacted(secret)


def test_the_refusal_names_the_place_and_nothing_secret() -> None:
    cipher = Cipher(MASTER)
    with pytest.raises(SecretUnreadable) as refusal:
        cipher.open(cipher.seal("canary-secret", PLACE), replace(PLACE, row_id="a-2"))
    assert "a-2" in str(refusal.value)
    assert "canary" not in str(refusal.value)
