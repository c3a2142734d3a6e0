"""Credential manager: sealed for one account, one owner and one field, plain only when opened."""

import pytest

from alphapulse.domain.identifiers import AccountId, UserId
from alphapulse.errors import NotFound, SecretUnreadable
from alphapulse.exchanges.credentials import CredentialManager
from alphapulse.exchanges.port import Credentials
from alphapulse.security.cipher import Cipher, Place
from alphapulse.security.key_file import MasterKey

ACCOUNT, OTHER = AccountId("account-1"), AccountId("account-2")
ADA, BOB = UserId("ada"), UserId("bob")
SECRETS = ("a-key-of-mine", "a-secret-of-mine", "a-passphrase")


@pytest.fixture
def manager() -> CredentialManager[Place]:
    return CredentialManager(Cipher(MasterKey(1, b"m" * 32)), Place)


@pytest.mark.parametrize("owner", [ADA, None])
def test_a_key_comes_back_as_it_was_sealed(
    manager: CredentialManager[Place], owner: UserId | None
) -> None:
    for credentials in (Credentials(*SECRETS), Credentials("key", "secret")):
        sealed = manager.seal(ACCOUNT, owner, credentials)
        assert manager.open(ACCOUNT, owner, sealed) == credentials


def test_nothing_of_a_key_can_be_read_in_what_is_stored(manager: CredentialManager[Place]) -> None:
    stored = b"".join(manager.seal(ACCOUNT, ADA, Credentials(*SECRETS)).values())

    for secret in SECRETS:
        assert secret.encode() not in stored
        assert secret not in repr(Credentials(*SECRETS))


def test_a_key_moved_to_another_account_owner_or_field_does_not_open(
    manager: CredentialManager[Place],
) -> None:
    sealed = manager.seal(ACCOUNT, ADA, Credentials(*SECRETS))
    swapped = sealed | {"api_key": sealed["api_secret"], "api_secret": sealed["api_key"]}

    for account, owner, stored in (
        (OTHER, ADA, sealed),
        (ACCOUNT, BOB, sealed),
        (ACCOUNT, None, sealed),
        (ACCOUNT, ADA, swapped),
    ):
        with pytest.raises(SecretUnreadable):
            manager.open(account, owner, stored)


def test_an_account_without_a_whole_key_has_none(manager: CredentialManager[Place]) -> None:
    sealed = manager.seal(ACCOUNT, ADA, Credentials(*SECRETS))
    del sealed["api_secret"]

    for stored in ({}, sealed):
        with pytest.raises(NotFound):
            manager.open(ACCOUNT, ADA, stored)
