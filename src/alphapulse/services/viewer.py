"""Viewer: through whose eyes a portfolio is seen."""

from typing import NamedTuple

from alphapulse.database.unit_of_work import UnitOfWork
from alphapulse.domain.account import Account
from alphapulse.domain.identifiers import AccountId, Asset, UserId
from alphapulse.domain.user import Role, User
from alphapulse.errors import NotFound


class Viewer(NamedTuple):
    """In which currency, and whose accounts: ``owner_id`` is ``None`` for everybody's.

    Equal viewers see equal figures, so what is encoded for one serves the other. A tuple, because
    it is looked up by on every hot read.
    """

    currency: Asset
    owner_id: UserId | None

    def may_see(self, account: Account) -> bool:
        return self.owner_id is None or account.owner_id == self.owner_id


class Caller(NamedTuple):
    """Who asks for something to be done; ``owner_id`` is ``None`` for a command on this machine,
    which is no user of the database."""

    user_id: UserId
    owner_id: UserId | None
    viewer: Viewer


NOBODY = Viewer(Asset("USD"), UserId(""))
"""For what is the same for all, such as prices."""


def viewer_of(user: User) -> Viewer:
    """Administrators see every account, others their own."""
    return Viewer(Asset(user.currency), None if user.role is Role.ADMIN else user.id)


async def load_account(unit: UnitOfWork, viewer: Viewer, account_id: AccountId) -> Account:
    """One of the viewer's accounts.

    Raises:
        NotFound: no such account; somebody else's is told apart from none by nothing.
    """
    account = await unit.accounts.load(account_id)
    if not viewer.may_see(account):
        raise NotFound("no such account", account=account_id)
    return account
