"""Key Vault: where the sealed exchange keys of accounts lie, and how they come out again."""

from alphapulse.database.connection import Database
from alphapulse.database.repositories.credentials import SealedField
from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import AccountId, UserId
from alphapulse.exchanges.credentials import CredentialManager
from alphapulse.exchanges.port import Credentials
from alphapulse.security.cipher import Cipher, Place


class KeyVault:
    """Seals keys and opens them again; belongs to the loop of its database."""

    def __init__(self, database: Database, cipher: Cipher, clock: Clock) -> None:
        self._database = database
        self._key_version = cipher.key_version
        self._manager = CredentialManager(cipher, Place)
        self._clock = clock

    def seal(
        self, account_id: AccountId, owner_id: UserId | None, credentials: Credentials
    ) -> tuple[SealedField, ...]:
        """Encrypt what is to be stored for ``account_id``."""
        return tuple(
            SealedField(name, self._key_version, sealed, self._clock.now())
            for name, sealed in self._manager.seal(account_id, owner_id, credentials).items()
        )

    async def load(self, account_id: AccountId) -> Credentials:
        """Decrypt an account's key.

        Raises:
            NotFound: there is no such account, or it has no key.
            SecretUnreadable: another master key, or changed bytes.
        """
        async with self._database.read() as unit:
            account = await unit.accounts.load(account_id)
            stored = await unit.credentials.load(account_id)
        sealed = {one.name: one.sealed for one in stored}
        return self._manager.open(account_id, account.owner_id, sealed)
