"""Credential Management: keys are sealed when they come in and opened on the way into an adapter.

Nowhere between are they plain: each field is sealed for its account, its name and its owner, so
that no ciphertext can be moved to another row. The cipher belongs to another package, so it is
given, not imported; where the sealed fields lie is the business of whoever adds the account, in
the same transaction.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Generic, Protocol, TypeVar

from alphapulse.domain.identifiers import AccountId, UserId
from alphapulse.errors import NotFound
from alphapulse.exchanges.port import Credentials

PlaceT = TypeVar("PlaceT")
PlaceT_contra = TypeVar("PlaceT_contra", contravariant=True)

TABLE = "credentials"

_REQUIRED = {"api_key", "api_secret"}


class SecretCipher(Protocol[PlaceT_contra]):
    """Authenticated encryption bound to a place; `alphapulse.security.cipher.Cipher` is one."""

    def seal(self, secret: str, place: PlaceT_contra) -> bytes: ...

    def open(self, sealed: bytes, place: PlaceT_contra) -> str:
        """Raises `SecretUnreadable`: another master key, another place, or a changed byte."""
        ...


class CredentialManager(Generic[PlaceT]):
    """Seals and opens the keys of accounts.

    Args:
        cipher: of the security package.
        place: makes the cipher's place of (table, row id, field, owner).
    """

    def __init__(
        self, cipher: SecretCipher[PlaceT], place: Callable[[str, str, str, str], PlaceT]
    ) -> None:
        self._cipher = cipher
        self._place = place

    def seal(
        self, account_id: AccountId, owner_id: UserId | None, credentials: Credentials
    ) -> dict[str, bytes]:
        """Every field that is set by its name, sealed for this account of this owner alone."""
        plain = {field.name: getattr(credentials, field.name) for field in fields(Credentials)}
        return {
            name: self._cipher.seal(secret, self._place_of(account_id, owner_id, name))
            for name, secret in plain.items()
            if secret is not None
        }

    def open(
        self, account_id: AccountId, owner_id: UserId | None, sealed: Mapping[str, bytes]
    ) -> Credentials:
        """The key in plain. Hand it to an adapter, keep it nowhere.

        Raises:
            NotFound: there is no key among what was stored.
            SecretUnreadable: it does not open.
        """
        if not sealed.keys() >= _REQUIRED:
            raise NotFound("the account has no stored key", account=account_id)
        return Credentials(
            **{
                name: self._cipher.open(one, self._place_of(account_id, owner_id, name))
                for name, one in sealed.items()
            }
        )

    def _place_of(self, account_id: AccountId, owner_id: UserId | None, field: str) -> PlaceT:
        return self._place(TABLE, account_id, field, owner_id or "")
