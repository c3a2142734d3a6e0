"""Credential Management: keys are sealed when they come in and opened on the way into an adapter.

Nowhere between are they plain: what is stored is sealed field by field, each bound to its account,
its name and its owner, so that no ciphertext can be moved to another row. The cipher and the store
belong to other packages, so they are given, not imported.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Generic, Protocol, TypeVar

from alphapulse.domain.identifiers import AccountId
from alphapulse.errors import NotFound
from alphapulse.exchanges.port import Credentials

PlaceT = TypeVar("PlaceT")
PlaceT_contra = TypeVar("PlaceT_contra", contravariant=True)

TABLE = "credentials"


class SecretCipher(Protocol[PlaceT_contra]):
    """Authenticated encryption bound to a place; `alphapulse.security.cipher.Cipher` is one."""

    @property
    def key_version(self) -> int:
        """Which master key seals now."""
        ...

    def seal(self, secret: str, place: PlaceT_contra) -> bytes: ...

    def open(self, sealed: bytes, place: PlaceT_contra) -> str:
        """Raises `SecretUnreadable`: another master key, another place, or a changed byte."""
        ...


@dataclass(frozen=True, slots=True)
class SealedCredentials:
    """What of an account's key is stored: each field's sealed bytes by name.

    ``owner`` is whose account it is, ``key_version`` which master key sealed it.
    """

    owner: str
    key_version: int
    sealed: Mapping[str, bytes]


class SealedStore(Protocol):
    """Where sealed fields are kept."""

    async def load(self, account_id: AccountId) -> SealedCredentials | None: ...


class CredentialManager(Generic[PlaceT]):
    """Seals and opens the keys of accounts.

    Args:
        cipher: of the security package.
        place: makes the cipher's place of (table, row id, field, owner).
        store: reads what was saved; saving is the business of whoever adds the account, in the
            same transaction.
    """

    def __init__(
        self,
        cipher: SecretCipher[PlaceT],
        place: Callable[[str, str, str, str], PlaceT],
        store: SealedStore,
    ) -> None:
        self._cipher = cipher
        self._place = place
        self._store = store

    def seal(
        self, account_id: AccountId, owner: str, credentials: Credentials
    ) -> SealedCredentials:
        """Seal every field that is set, for this account of this owner alone."""
        plain = {field.name: getattr(credentials, field.name) for field in fields(Credentials)}
        return SealedCredentials(
            owner,
            self._cipher.key_version,
            {
                name: self._cipher.seal(secret, self._place(TABLE, account_id, name, owner))
                for name, secret in plain.items()
                if secret is not None
            },
        )

    async def load(self, account_id: AccountId) -> Credentials:
        """The account's key in plain. Hand it to an adapter, keep it nowhere.

        Raises:
            NotFound: the account has no key.
            SecretUnreadable: the stored key does not open.
        """
        stored = await self._store.load(account_id)
        if stored is None or not stored.sealed:
            raise NotFound("the account has no key", account_id=account_id)
        return Credentials(
            **{
                name: self._cipher.open(sealed, self._place(TABLE, account_id, name, stored.owner))
                for name, sealed in stored.sealed.items()
            }
        )
