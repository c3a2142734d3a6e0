"""Bodies of the user routes."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints

from alphapulse.api.schemas.base import Body, Input, Timestamp, View

Username = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=2, max_length=60, pattern=r"^[\w.@+-]+$"),
]


class SetupBody(Input):
    """The first user, an administrator; ``code`` comes from the one-time link."""

    code: str = Field(max_length=200)
    username: Username
    password: SecretStr = Field(min_length=1, max_length=256)
    currency: str = Field(default="USD", max_length=40, examples=["EUR"])


class SetupCode(Body):
    """What makes the first user; good once and for 15 minutes."""

    code: str


class LoginBody(Input):
    """A name, its password, and a name for the device that the list of sessions shows."""

    username: str = Field(max_length=200)
    password: SecretStr = Field(max_length=1000)
    device_name: str | None = Field(default=None, max_length=100)


class RefreshBody(Input):
    """The refresh token of the last answer; each works once."""

    refresh_token: SecretStr = Field(max_length=500)


class UserView(View):
    """Who this is and what they may do."""

    id: str
    username: str
    roles: list[str]
    scopes: list[str]


class PreviousLogin(View):
    """For the user to notice a login that was not theirs."""

    at: Timestamp
    ip: str | None


class LoginAnswer(Body):
    """An access token for ``expires_in`` seconds.

    A browser gets the session as an HttpOnly cookie and ``refresh_token`` is null; any other
    client gets a refresh token that is exchanged for a new one each time.
    """

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a kind, no secret
    expires_in: int
    refresh_token: str | None
    session_id: str
    user: UserView
    mfa_enrolled: bool = False
    must_change_password: bool = False
    previous_login: PreviousLogin | None


class SettingsView(View):
    """What the user chose; ``version`` rises with each change."""

    version: int
    currency: str
    timezone: str


class SessionView(View):
    """One place this user is logged in from."""

    id: str
    created_at: Timestamp
    last_seen_at: Timestamp
    ip: str | None
    agent: str | None
    current: bool


class Profile(Body):
    """The caller."""

    id: str
    username: str
    email: str | None = None
    display_name: str | None = None
    roles: list[str]
    scopes: list[str]
    accounts_granted: list[str]
    settings: SettingsView
    mfa: dict[str, bool] | None = None
    sessions: list[SessionView]
    api_tokens: list[dict[str, str]] | None = None
    notification_channels: list[dict[str, str]] | None = None
    last_login_at: Timestamp | None
    last_login_ip: str | None = None
    failed_logins_since: int | None = None
    password_changed_at: Timestamp | None = None
    created_at: Timestamp
