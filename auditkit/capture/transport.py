"""Requests to one API server: paced, retried with patience, and answered as values."""

import json
import logging
import random
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import urllib3

from auditkit.errors import RetryLater, UsageError

# Answers that another attempt may mend; 401 and 403 are decisions, 404 and 410 are facts.
PASSING = frozenset({0, 429, 500, 502, 503, 504})
NOT_JSON = "the answer is not JSON"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long to try: `attempts` of a request, `pause` seconds after the first (doubled each time, with jitter, or as
    the server's Retry-After says, up to `longest`), `timeout` seconds without a byte, `restarts` of an expired list.
    """

    attempts: int = 6
    pause: float = 0.5
    longest: float = 60.0
    timeout: float = 60.0
    restarts: int = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A complete answer, or status 0 and why there was none."""

    status: int
    body: bytes = b""
    date: datetime | None = None
    received: datetime | None = None
    retry_after: float | None = None
    fault: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def reason(self) -> str:
        """What went wrong, in the server's words where it gave a Status."""
        with suppress(ValueError, AttributeError):
            if message := json.loads(self.body).get("message"):
                return f"{self.status}: {message}"
        return self.fault or f"{self.status}: {self.body[:200].decode(errors='replace').strip()}"


class Transport:
    """Sends requests through `pool`, at most `qps` a second (0 is no limit), with the headers that `headers()` gives."""

    def __init__(
        self,
        pool: urllib3.PoolManager,
        server: str,
        headers: Callable[[], dict[str, str]],
        *,
        qps: float,
        patience: Patience,
        renew: str = "",
    ) -> None:
        self.server, self.patience = server, patience
        self._pool, self._headers, self._renew = pool, headers, renew
        self._interval = 1 / qps if qps > 0 else 0.0
        self._next = 0.0

    def get(self, path: str, accept: str = "application/json") -> Reply:
        return self._patiently("GET", path, accept, None)

    def post(self, path: str, document: dict[str, Any]) -> Reply:
        return self._patiently("POST", path, "application/json", json.dumps(document).encode())

    def _patiently(self, method: str, path: str, accept: str, body: bytes | None) -> Reply:
        """The last of the attempts' replies.

        Raises UsageError on 401, on a TLS failure and where something else answers, such as a login page, RetryLater where the server is unreachable or throttles to the end.
        """
        reply = self._once(method, path, accept, body)
        for attempt in range(1, self.patience.attempts):
            final = reply.status not in PASSING or reply.fault == NOT_JSON
            if final or (reply.retry_after or 0) > self.patience.longest:
                break
            wait = self._wait(attempt, reply.retry_after)
            if wait >= 1:  # Who sits before it shall not take it for hung.
                said = f"answers {reply.status}" if reply.status else "does not answer"
                _LOG.warning("%s %s; trying again in %.0f s", self.server, said, wait)
            time.sleep(wait)
            reply = self._once(method, path, accept, body)
        if reply.status == 429:
            raise RetryLater(f"{self.server} throttles this identity (429 on {path}); try later, or with a lower --qps")
        if reply.status == 401:
            raise UsageError(f"{self.server} does not accept the credentials (401 Unauthorized){self._renew}")
        if reply.status == 0:
            self._reachable(reply.fault)
        return reply

    def _reachable(self, fault: str) -> None:
        """Whether only that request failed, such as one that an aggregated API answers."""
        version = self._once("GET", "/version", "application/json", None)
        if version.fault == NOT_JSON:
            raise UsageError(f"{self.server}: not the answer of a Kubernetes API server; check the address")
        if version.status == 0:
            raise RetryLater(f"{self.server} is not reachable ({fault}); check network and address, or try later")

    def _wait(self, attempt: int, retry_after: float | None) -> float:
        backoff: float = self.patience.pause * 2.0 ** (attempt - 1) * random.uniform(0.5, 1.5)
        return min(max(backoff, retry_after or 0.0), self.patience.longest)

    def _once(self, method: str, path: str, accept: str, body: bytes | None) -> Reply:
        self._pace()
        headers = {**self._headers(), "Accept": accept, "Accept-Encoding": "gzip"}
        headers |= {"Content-Type": "application/json"} if body else {}
        try:
            response = self._pool.request(
                method,
                self.server + path,
                headers=headers,
                body=body,
                retries=False,
                redirect=False,
                timeout=self.patience.timeout,
            )
        except urllib3.exceptions.SSLError as error:
            if isinstance(error.args[0], ssl.SSLEOFError):
                return Reply(status=0, fault=f"no complete answer: {error}")
            raise UsageError(
                f"{self.server}: TLS failed ({error}); check server and certificate-authority of the cluster in your kubeconfig"
            ) from None
        except urllib3.exceptions.LocationParseError as error:
            raise UsageError(f"{self.server}: not the address of a server ({error}); check your kubeconfig") from None
        except urllib3.exceptions.HTTPError as error:
            return Reply(status=0, fault=f"no complete answer: {error}")
        text = response.data.strip()
        if response.status == 200 and not text.endswith(b"}"):
            cut = not text or text.startswith(b"{")
            return Reply(status=0, fault="no complete answer: the body is cut" if cut else NOT_JSON)
        return Reply(
            status=response.status,
            body=response.data,
            date=_date(response.headers.get("Date")),
            received=datetime.now(UTC),
            retry_after=_seconds(response.headers.get("Retry-After")),
        )

    def _pace(self) -> None:
        now = time.monotonic()
        if now < self._next:
            time.sleep(self._next - now)
        self._next = max(now, self._next) + self._interval


def parsed(reply: Reply, path: str) -> Any:
    """The JSON document of a successful reply.

    Raises UsageError where it is none: something other than an API server answers at that address.
    """
    try:
        return json.loads(reply.body)
    except ValueError:
        raise UsageError(f"{path}: not the answer of a Kubernetes API server; check the address") from None


def _date(text: str | None) -> datetime | None:
    with suppress(TypeError, ValueError):
        return parsedate_to_datetime(text or "").astimezone(UTC)
    return None


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdigit() else None
