"""Credential manager: sealed in the store, bound to the account, plain only when loaded."""

import pytest

from alphapulse.domain.identifiers import AccountId
from alphapulse.errors import NotFound, SecretUnreadable
from alphapulse.exchanges.credentials import CredentialManager, SealedCredentials
from alphapulse.exchanges.port import Credentials
from alphapulse.security.cipher import Cipher, Place
from alphapulse.security.key_file import MasterKey

ACCOUNT, OTHER = AccountId("account-1"), AccountId("account-2")
SECRETS = ("a-key-of-mine", "a-secret-of-mine", "a-passphrase")


class Store:
    """What a database keeps of it."""

    def __init__(self) -> None:
        self.rows: dict[AccountId, SealedCredentials] = {}

    async def load(self, account_id: AccountId) -> SealedCredentials | None:
        return self.rows.get(account_id)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def manager(store: Store) -> CredentialManager[Place]:
    return CredentialManager(Cipher(MasterKey(1, b"m" * 32)), Place, store)


async def test_a_key_comes_back_as_it_was_saved(
    manager: CredentialManager[Place], store: Store
) -> None:
    credentials = Credentials(*SECRETS)
    store.rows[ACCOUNT] = manager.seal(ACCOUNT, "ada", credentials)

    assert await manager.load(ACCOUNT) == credentials


async def test_a_key_without_passphrase_has_none_afterwards(
    manager: CredentialManager[Place], store: Store
) -> None:
    store.rows[ACCOUNT] = manager.seal(ACCOUNT, "ada", Credentials("key", "secret"))

    assert (await manager.load(ACCOUNT)).password is None


def test_nothing_of_a_key_can_be_read_in_what_is_stored(manager: CredentialManager[Place]) -> None:
    stored = manager.seal(ACCOUNT, "ada", Credentials(*SECRETS))

    for secret in SECRETS:
        assert secret.encode() not in b"".join(stored.sealed.values())
        assert secret not in repr(Credentials(*SECRETS))


async def test_a_key_moved_to_another_account_does_not_open(
    manager: CredentialManager[Place], store: Store
) -> None:
    store.rows[OTHER] = manager.seal(ACCOUNT, "ada", Credentials(*SECRETS))

    with pytest.raises(SecretUnreadable):
        await manager.load(OTHER)


async def test_a_key_moved_to_another_owner_or_field_does_not_open(
    manager: CredentialManager[Place], store: Store
) -> None:
    sealed = manager.seal(ACCOUNT, "ada", Credentials(*SECRETS))

    store.rows[ACCOUNT] = SealedCredentials("bob", 1, sealed.sealed)
    with pytest.raises(SecretUnreadable):
        await manager.load(ACCOUNT)

    swapped = {"api_key": sealed.sealed["api_secret"], "api_secret": sealed.sealed["api_key"]}
    store.rows[ACCOUNT] = SealedCredentials("ada", 1, swapped)
    with pytest.raises(SecretUnreadable):
        await manager.load(ACCOUNT)


async def test_an_account_without_a_key_says_so(manager: CredentialManager[Place]) -> None:
    with pytest.raises(NotFound):
        await manager.load(ACCOUNT)
