"""Every error AlphaPulse raises, in one tree.

AlphaPulseError
├── InvalidInput                 what the caller sent cannot be right
│   ├── BadRows                  rows of a file cannot be read; nothing was imported
│   ├── KeyRefused               the exchange did not accept the key
│   └── KeyTooPowerful           the key may withdraw, which nothing here needs
│   ├── MissingIdempotencyKey    a repeat of this could not be told from a second one
│   ├── IdempotencyKeyReused     the key came with another body before
│   └── OrderRefused             a check of ours refused the order; nothing was sent
│       ├── BelowMinimum         less than the venue trades
│       ├── BadStep              not on the venue's grid, and not to be rounded silently
│       ├── NotEnoughFree        the account has not enough that is free
│       ├── PriceOutOfBand       too far from the last good price
│       ├── PriceNotGood         no price, too old, or a spread that is too wide
│       ├── OverLimit            more than the limits of the account or user allow
│       └── OrderNotSupported    the venue has no such order
├── NotFound                     no such thing
├── Conflict                     the thing is not in the state this needs
│   ├── VersionMismatch          somebody else changed it since it was read
│   ├── InProgress               the same request is still under way
│   ├── PlanChanged              prices or balances are not those of the plan any more
│   ├── RunInProgress            an account of the plan is being rebalanced
│   └── DuplicateSuspected       an equal order was placed moments ago
├── Unauthenticated              who are you?
│   ├── InvalidCredentials       wrong name or password, whichever it was
│   ├── TokenExpired             it was valid; log in or refresh
│   ├── TokenRevoked             its session was ended
│   └── SetupCodeInvalid         wrong, spent or too old
├── Forbidden                    you are known, and may not
│   ├── UserDisabled             an administrator switched the user off
│   ├── CrossOrigin              a foreign page sent it
│   └── KeyReadOnly              the account's key may not trade
├── PlanExpired                  the plan is too old to be executed
├── NotAgreed                    a person was asked and did not say yes
├── TradingHalted                the kill switch is on
├── TooManyRequests              slow down; retry_after_s says how long
│   └── OrderBudgetSpent         too many orders in a minute
├── ConfigurationInvalid         a setting is missing or contradicts another
│   └── PortTaken                somebody else listens there
├── StartFailed                  the server ended before it was ready
├── NotReady                     starting, or nothing is known yet
│   ├── InputsNotGood            an input of a plan is missing, stale or in doubt
│   ├── SetupRequired            no account exists yet
│   └── NotRunning               no server answers on this data folder
├── ExtraMissing                 this needs a library that is not installed
├── RefreshTimedOut              the exchanges did not answer within the wait
├── WorkerStopped                the thread that owns this is not running
├── DatabaseError
│   ├── DatabaseBusy             locked for longer than the time allowed
│   └── DatabaseUnavailable      gone, full, read-only or refusing us
├── SecretUnreadable             stored secret cannot be decrypted with this master key
└── ExchangeError                the venue said something we cannot use
    ├── ExchangeUnavailable      no usable answer: network, 5xx, broken body, maintenance
    ├── RateLimited              the venue asked us to wait; retry_after_s
    ├── ClockSkewed              the venue refuses our clock
    ├── AuthenticationFailed     wrong, expired or revoked key
    ├── PermissionMissing        the key is valid and may not do this
    ├── InstrumentUnavailable    delisted, halted or unknown symbol
    ├── RequestRefused           the venue found our request malformed: a bug of ours
    ├── OrderRejected            the venue refused the order for good
    │   └── InsufficientFunds    not enough free balance or margin
    ├── OrderNotSent             it is proved that no byte of the order left
    ├── OrderOutcomeUnknown      the order may or may not exist: a state, not a failure
    └── StreamLost               a stream ended, fell silent or lost a message

``code`` is stable and public. ``retryable`` is the only thing a caller branches on besides the
class. Facts travel as keywords; secrets never do.
"""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple


class AlphaPulseError(Exception):
    """The root: a message for people, a code for programs, facts as keywords.

    ``fix`` says what to do next, in one plain sentence.
    """

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False
    fix: ClassVar[str] = "Look into the log with the request id."

    def __init__(self, message: str, /, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts

    @property
    def retry_after_s(self) -> float | None:
        """Seconds to wait before another try, when the other side said so."""
        value = self.facts.get("retry_after_s")
        return float(value) if isinstance(value, int | float) else None

    def __str__(self) -> str:
        facts = ", ".join(f"{name}={value}" for name, value in self.facts.items())
        return f"{self.message} ({facts})" if facts else self.message


class InvalidInput(AlphaPulseError):
    """What the caller sent cannot be right; ``facts['field']`` names where."""

    code = "validation_failed"
    fix = "Correct the named field and send it again."


class BadRows(InvalidInput):
    """Rows of the file cannot be read, and nothing was imported; ``facts['rows']`` names them."""

    code = "bad_rows"
    fix = "Correct the named lines, or the mapping, and send the whole file again."


class KeyRefused(InvalidInput):
    """The exchange did not accept the key; ``facts['check']`` says which step failed, and why."""

    code = "key_refused"
    fix = "The failed step says what to change."


class KeyTooPowerful(InvalidInput):
    """The key may withdraw, which nothing here needs."""

    code = "key_can_withdraw"
    fix = "Make a key without the right to withdraw, or accept the risk with allow_withdraw."


class MissingIdempotencyKey(InvalidInput):
    """Without a key, a repeat after a lost answer cannot be told from a second order."""

    code = "missing_idempotency_key"
    fix = "Send an Idempotency-Key header, a new one for each order, and the same one to repeat it."


class IdempotencyKeyReused(InvalidInput):
    """The key was used before, for something else."""

    code = "idempotency_key_reused"
    fix = "Use a new key for a new order."


class OrderRefused(InvalidInput):
    """A check of ours refused the order and nothing was sent; the facts name the limit."""

    code = "order_refused"
    fix = "Change what the named check found, within its limit."


class BelowMinimum(OrderRefused):
    """Less than the venue trades, in quantity or in value."""

    code = "below_min_notional"
    fix = "Ask for at least the named minimum."


class BadStep(OrderRefused):
    """Quantity or price is not on the venue's grid."""

    code = "bad_step"
    fix = "Use the multiple of the step that is named."


class NotEnoughFree(OrderRefused):
    """The account has not enough that is free and not held by other orders."""

    code = "insufficient_free_balance"
    fix = "Ask for less, or cancel orders that hold the balance."


class PriceOutOfBand(OrderRefused):
    """The price is too far from the last good one."""

    code = "price_band"
    fix = "Choose a price within the named band, or widen the band in the trading limits."


class PriceNotGood(OrderRefused):
    """There is no price, it is too old, or bid and ask are too far apart."""

    code = "price_not_good"
    fix = "Wait for a fresh price; the status page says why there is none."


class OverLimit(OrderRefused):
    """More than the trading limits of the account or the user allow."""

    code = "over_limit"
    fix = "Ask for less, or raise the named limit."


class OrderNotSupported(OrderRefused):
    """The venue has no such order, or not in this market."""

    code = "order_not_supported"
    fix = "Choose another type or option; the exchange's capabilities list them."


class NotFound(AlphaPulseError):
    """No such account, symbol, order or page."""

    code = "not_found"
    fix = "Check the id; lists show what exists."


class Conflict(AlphaPulseError):
    """The thing is not in the state this needs, or is already there."""

    code = "conflict"
    fix = "Read the current state and decide again."


class VersionMismatch(Conflict):
    """Somebody else changed it since it was read."""

    code = "version_mismatch"
    fix = "Read it again, and send your change with its present version."


class InProgress(Conflict):
    """The same request is still under way."""

    code = "in_progress"
    retryable = True
    fix = "Repeat it with the same key in a moment; it answers as soon as the first one does."


class DuplicateSuspected(Conflict):
    """An equal order was placed moments ago under another key."""

    code = "duplicate_suspected"
    fix = "Look at the order that is named; if you want both, say so with allow_duplicate."


class PlanChanged(Conflict):
    """Prices or balances have moved beyond the limit since the plan was made."""

    code = "plan_changed"
    fix = "Make a new plan, look at it, and execute that one."


class RunInProgress(Conflict):
    """An account of the plan is being rebalanced; nothing was started."""

    code = "run_in_progress"
    fix = "Wait for the run that is named, or stop it."


class PlanExpired(AlphaPulseError):
    """The plan is too old to be executed."""

    code = "plan_expired"
    fix = "Make a new plan, look at it, and execute that one."


class Unauthenticated(AlphaPulseError):
    """No valid credential came with the request."""

    code = "unauthenticated"
    fix = "Log in, or send a valid token."


class InvalidCredentials(Unauthenticated):
    """Wrong username or password; the answer never says which."""

    code = "invalid_credentials"
    fix = "Check both and try again."


class TokenExpired(Unauthenticated):
    """It was valid once."""

    code = "token_expired"
    fix = "Refresh it, or log in again."


class TokenRevoked(Unauthenticated):
    """Its session was ended, here or elsewhere."""

    code = "token_revoked"
    fix = "Log in again."


class SetupCodeInvalid(Unauthenticated):
    """The one-time code is wrong, spent or older than 15 minutes."""

    code = "setup_code_invalid"
    fix = "Run `alphapulse setup-link` for a new one."


class Forbidden(AlphaPulseError):
    """The caller is known and may not do this."""

    code = "missing_scope"
    fix = "Ask an administrator for the scope."


class UserDisabled(Forbidden):
    """An administrator switched this user off."""

    code = "account_disabled"
    fix = "Ask an administrator."


class CrossOrigin(Forbidden):
    """A page of another origin sent this with the user's cookie."""

    code = "cross_origin"
    fix = "Open the product at one of its own addresses."


class KeyReadOnly(Forbidden):
    """The key of this account may not trade; nothing was sent."""

    code = "read_only_key"
    fix = "Connect a key that may trade, and may not withdraw."


class NotAgreed(AlphaPulseError):
    """A person was asked, and did not type the word that goes on."""

    code = "not_agreed"
    fix = "Type the word as it is shown, or say --yes."


class TradingHalted(AlphaPulseError):
    """The kill switch is on; nothing was sent. It survives a restart."""

    code = "trading_halted"
    fix = "Find out why it was halted, then resume with POST /api/trading/resume."


class TooManyRequests(AlphaPulseError):
    """The caller is too fast."""

    code = "rate_limited"
    retryable = True
    fix = "Wait for the stated time."


class OrderBudgetSpent(TooManyRequests):
    """More orders in a minute than the trading limits allow."""

    code = "order_budget"
    fix = "Wait for the stated time, or raise the limit."


class ConfigurationInvalid(AlphaPulseError):
    """A setting is missing, unsafe or contradicts another."""

    code = "config_invalid"
    fix = "Correct the setting and start again."


class PortTaken(ConfigurationInvalid):
    """Somebody else listens there, often a server of ours that still runs."""

    code = "port_taken"
    fix = "Stop what listens there, or choose the free port named above with --port."


class StartFailed(AlphaPulseError):
    """The server ended before it was ready."""

    code = "start_failed"
    fix = "The log names the cause; correct it and start again."


class NotReady(AlphaPulseError):
    """Starting, or nothing has been synchronized yet."""

    code = "not_ready"
    retryable = True
    fix = "Wait for the first synchronization; the status page shows its progress."


class NotRunning(NotReady):
    """A command needs a server, and none answers on this data folder."""

    code = "not_running"
    fix = "Start one with `alphapulse serve` or `alphapulse demo`, or name its --data-dir."


class InputFault(NamedTuple):
    """What is wrong with one input: a word for programs, what it is about, a sentence."""

    reason: str
    subject: str
    detail: str


class InputsNotGood(NotReady):
    """An input of a plan is missing, stale or in doubt; ``refusals`` lists every one."""

    code = "inputs_not_good"
    fix = "Each entry of errors names an input; wait until it is read, or see the status page."

    def __init__(
        self, message: str, /, refusals: Sequence[InputFault] = (), **facts: object
    ) -> None:
        super().__init__(message, **facts)
        self.refusals = tuple(refusals)


class SetupRequired(NotReady):
    """No account exists yet, and nothing answers before one does."""

    code = "setup_required"
    fix = "Open the one-time link that the server printed at its start."


class ExtraMissing(AlphaPulseError):
    """This needs a library that is not installed with AlphaPulse by itself."""

    code = "extra_missing"
    fix = "Install it with `pip install 'alphapulse[parquet]'`, or ask for csv or json."


class RefreshTimedOut(AlphaPulseError):
    """The exchanges were not read within the wait; the reading goes on."""

    code = "refresh_timed_out"
    retryable = True
    fix = "Ask without refresh=wait for what was read last, or wait longer with wait_s."


class WorkerStopped(AlphaPulseError):
    """The worker thread that owns this is not running."""

    code = "worker_stopped"
    retryable = True
    fix = "See the system status for why the worker stopped."


class DatabaseError(AlphaPulseError):
    """The database could not do it."""

    code = "database_error"
    fix = "See the database part of the system status."


class DatabaseBusy(DatabaseError):
    """Locked by somebody else for longer than the time allowed."""

    code = "database_busy"
    retryable = True
    fix = "Find the process that holds the database; the request may be sent again."


class DatabaseUnavailable(DatabaseError):
    """Gone, full, read-only or refusing our login."""

    code = "database_unavailable"
    retryable = True
    fix = "Check that the database runs, its address, and the free disk space."


class SecretUnreadable(AlphaPulseError):
    """A stored secret cannot be decrypted: another master key, or changed bytes."""

    code = "secret_unreadable"
    fix = "Start with the master key the secret was stored under, or enter the key again."


class ExchangeError(AlphaPulseError):
    """The venue answered something we cannot use.

    Facts: ``exchange``, ``http_status``, ``venue_code``, ``venue_message`` where known.
    """

    code = "exchange_error"
    fix = "The venue's own code says more; the status page counts how often."


class ExchangeUnavailable(ExchangeError):
    """No usable answer: network, time-out, 5xx, broken body or maintenance."""

    code = "exchange_unavailable"
    retryable = True
    fix = "It is tried again by itself; check the venue's status page and your network."


class RateLimited(ExchangeError):
    """The venue asked us to wait; nothing is sent to it until then."""

    code = "exchange_rate_limited"
    retryable = True
    fix = "It waits by itself; another program on the same address may share the budget."


class ClockSkewed(ExchangeError):
    """The venue refuses our clock."""

    code = "clock_skew"
    retryable = True
    fix = "Switch on time synchronization (NTP) on this machine."


class AuthenticationFailed(ExchangeError):
    """Wrong, expired or revoked key; the account is paused."""

    code = "key_invalid"
    fix = "Make a new key at the exchange and rotate it here."


class PermissionMissing(ExchangeError):
    """The key is valid and may not do this, or not from this address."""

    code = "key_permission_missing"
    fix = "Give the key the permission at the exchange, or allow this machine's address."


class InstrumentUnavailable(ExchangeError):
    """Delisted, halted or unknown symbol."""

    code = "instrument_unavailable"
    fix = "Check the symbol at the exchange; its last value stays, marked stale."


class RequestRefused(ExchangeError):
    """The venue found our request malformed: a bug of ours."""

    code = "exchange_request_refused"
    fix = "Please report it with the request id."


class OrderRejected(ExchangeError):
    """The venue refused the order for good; it does not exist there."""

    code = "exchange_rejected"
    fix = "The venue's code says which rule it broke."


class InsufficientFunds(OrderRejected):
    """Not enough free balance or margin."""

    code = "insufficient_funds"
    fix = "Free some balance, or ask for less."


class OrderNotSent(ExchangeError):
    """It is proved that no byte of the order left this machine; it exists nowhere."""

    code = "order_not_sent"
    retryable = True
    fix = "Check the network and the exchange, then place it again."


class OrderOutcomeUnknown(ExchangeError):
    """The order may or may not exist at the venue. A state to resolve, never a reason to resend."""

    code = "order_outcome_unknown"
    fix = "It is looked up by its client id until the venue answers; do not place it again."


class StreamLost(ExchangeError):
    """A stream ended, fell silent or lost a message; what came after it is not trusted."""

    code = "stream_lost"
    retryable = True
    fix = "It reconnects by itself and reconciles over REST."
