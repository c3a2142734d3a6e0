"""Who signed: HMAC over the raw bytes of a REST request, or over the sorted parameters of the
WebSocket API.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/request-security and
/websocket-api/request-security, 2026-11.
"""

import hmac
import re
from collections.abc import Callable, Mapping
from hashlib import sha256

from alphapulse.simulator.core.account import ApiKey
from alphapulse.simulator.core.clock import AuthClock
from alphapulse.simulator.venues.binance.codes import BinanceError, bad_key, missing
from alphapulse.simulator.venues.binance.params import Params
from alphapulse.simulator.venues.face import Request

DEFAULT_WINDOW_MS = 5_000
LARGEST_WINDOW_MS = 60_000
AHEAD_MS = 1_000

# Timestamps of this many digits are microseconds, which the venue also takes.
MICROSECOND_DIGITS = 16

_SIGNATURE = re.compile(rb"(^|&)signature=[^&]*")

FindKey = Callable[[str], ApiKey | None]


class Authenticator:
    """Checks key, time and signature, in the venue's order."""

    def __init__(self, find_key: FindKey, clock: AuthClock) -> None:
        self._find_key = find_key
        self._clock = clock

    def of_request(self, request: Request, params: Params) -> ApiKey:
        """The key that signed a REST request, wherever its parameters travel.

        Raises:
            BinanceError: -1021, -1022, -1102, -2014 or -2015.
        """
        key = self.known(request.headers.get("X-MBX-APIKEY", ""))
        payload = _unsigned(request.query.encode()) + _unsigned(request.body)
        self._check(key, params, payload)
        return key

    def of_params(self, values: Mapping[str, str]) -> ApiKey:
        """The key that signed a request of the WebSocket API.

        Raises:
            BinanceError: as for REST.
        """
        key = self.known(values.get("apiKey", ""))
        signed = sorted((n, v) for n, v in values.items() if n != "signature")
        payload = "&".join(f"{name}={value}" for name, value in signed).encode()
        self._check(key, Params(values), payload)
        return key

    def known(self, name: str) -> ApiKey:
        """The key of this name, if it may be used from where it is."""
        if not re.fullmatch(r"[A-Za-z0-9_-]{8,128}", name):
            raise BinanceError(-2014, "API-key format invalid.", status=401)
        key = self._find_key(name)
        if key is None or key.is_ip_refused:
            raise bad_key()
        return key

    def check_time(self, params: Params) -> None:
        """Refuse a request that was made too long ago, or in the future."""
        stamp = params.integer("timestamp")
        if stamp is None:
            raise missing("timestamp")
        if stamp >= 10 ** (MICROSECOND_DIGITS - 1):
            stamp //= 1000
        window = params.decimal("recvWindow")
        window_ms = DEFAULT_WINDOW_MS if window is None else int(window)
        if window_ms > LARGEST_WINDOW_MS:
            raise BinanceError(-1131, "recvWindow must be less than 60000.")
        if not self._clock.checks_windows:
            return
        now_ms = self._clock.now_ms()
        if stamp > now_ms + AHEAD_MS:
            raise BinanceError(
                -1021, "Timestamp for this request was 1000ms ahead of the server's time."
            )
        if stamp < now_ms - window_ms:
            raise BinanceError(-1021, "Timestamp for this request is outside of the recvWindow.")

    def _check(self, key: ApiKey, params: Params, payload: bytes) -> None:
        signature = params.text("signature")
        self.check_time(params)
        expected = hmac.new(key.secret.encode(), payload, sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), signature.lower().encode()):
            raise BinanceError(-1022, "Signature for this request is not valid.")


def _unsigned(raw: bytes) -> bytes:
    return _SIGNATURE.sub(b"", raw).lstrip(b"&")
