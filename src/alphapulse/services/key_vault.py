"""Key Vault: exchange keys, encrypted for the account they belong to and for no other."""

from alphapulse.database.connection import Database
from alphapulse.database.repositories.credentials import SealedField
from alphapulse.domain.clock import Clock
from alphapulse.domain.identifiers import AccountId, UserId
from alphapulse.errors import NotFound
from alphapulse.exchanges.port import Credentials
from alphapulse.security.cipher import Cipher, Place

_FIELDS = ("api_key", "api_secret", "password")


class KeyVault:
    """Seals keys and opens them again; belongs to the loop of its database."""

    def __init__(self, database: Database, cipher: Cipher, clock: Clock) -> None:
        self._database = database
        self._cipher = cipher
        self._clock = clock

    def seal(
        self, account_id: AccountId, owner_id: UserId | None, credentials: Credentials
    ) -> tuple[SealedField, ...]:
        """Encrypt what is to be stored for ``account_id``."""
        return tuple(
            SealedField(
                name=name,
                sealed=self._cipher.seal(secret, _place(account_id, owner_id, name)),
                key_version=self._cipher.key_version,
                saved_at=self._clock.now(),
            )
            for name in _FIELDS
            if (secret := getattr(credentials, name)) is not None
        )

    async def load(self, account_id: AccountId) -> Credentials:
        """Decrypt an account's key.

        Raises:
            NotFound: there is no such account, or it has no key.
            SecretUnreadable: another master key, or changed bytes.
        """
        async with self._database.read() as unit:
            account = await unit.accounts.load(account_id)
            sealed = {one.name: one for one in await unit.credentials.load(account_id)}
        secrets = {
            name: self._cipher.open(one.sealed, _place(account_id, account.owner_id, name))
            for name, one in sealed.items()
        }
        if not {"api_key", "api_secret"} <= secrets.keys():
            raise NotFound("the account has no stored key", account=account_id)
        return Credentials(
            api_key=secrets["api_key"],
            api_secret=secrets["api_secret"],
            password=secrets.get("password"),
        )


def _place(account_id: AccountId, owner_id: UserId | None, field: str) -> Place:
    return Place(table="credentials", row_id=account_id, field=field, owner=owner_id or "")
