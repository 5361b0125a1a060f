"""Kaggle's own client, asked with patience: signed in, with time limits, again while Kaggle is busy.

`import kaggle` costs most of a second, signs in while it is imported, and prints; its calls know no time limit, and
repeat only what fails in some ways. So it is imported here, inside `connect`, its words go to stderr, and every
question goes through `Service.ask`, which says of a failure whether Kaggle refused, was not reached, or may have done
what was asked.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from harness.errors import ConfigError, NotYetError, ServiceError
from harness.kaggle import credentials, failures
from harness.waiting import retry_after

PAGES = 500  # of a listing that does not end
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Manners:
    """How Kaggle is asked.

    Attributes:
        timeout: seconds without a byte.
        tries: of one question.
        wait: seconds before the second try; twice as long before each further one.
        longest: seconds; a Retry-After above is not waited for.
        poll: seconds between two looks at what takes its time, at first; half as long again each time, up to `slowest`.
        slowest: seconds between two looks.
        settle: seconds in which what Kaggle may have done must have become visible.
        sleep: how to wait.
    """

    timeout: float = 60.0
    tries: int = 6
    wait: float = 1.0
    longest: float = 300.0
    poll: float = 3.0
    slowest: float = 60.0
    settle: float = 90.0
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Service:
    """Kaggle, for one user.

    Attributes:
        api: the client, a `kaggle.api.kaggle_api_extended.KaggleApi`.
        user: the name that Kaggle knows the user by; empty where the credential does not say.
        manners: how it is asked.
    """

    api: Any
    user: str
    manners: Manners

    def ask(self, question: Callable[[Any], Answer], *, doing: str, rules: str = "", once: bool = False) -> Answer:
        """What the question (of a signed-in SDK client) answers; asked again while Kaggle is busy or silent.

        Args:
            doing: what is asked, for messages: "listing the files of x".
            rules: the competition whose rules a refusal may be about.
            once: the question changes something, and must not be asked again where that may have been done.

        Raises:
            ServiceError: refused; UnreachedError: not reached.
            UnclearError: of a `once`: no answer, so that it may have been done.
            NotYetError: Kaggle asks for more patience than `manners.longest`.
        """
        import tenacity

        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.manners.tries),
            retry=tenacity.retry_if_exception(lambda error: failures.again(error, once=once)),
            wait=self._pause,
            sleep=self.manners.sleep,
            reraise=True,
        )
        from requests import RequestException

        with words_apart(), time_limit(self.manners.timeout):
            try:
                return retrying(lambda: self._answer(question))
            except (RequestException, *failures.STRANGE) as error:
                cause = None if credentials.shown_by(error) else error
                raise failures.told(error, doing, rules=rules, once=once) from cause

    def listing(self, question: Callable[[Any, str], Any], *, doing: str, rules: str = "") -> Iterator[Any]:
        """Yields the answers to the question (client, page token), page after page: Kaggle gives 20 rows each."""
        token, seen = "", set()
        for _ in range(PAGES):
            seen.add(token)
            answer = self.ask(lambda kaggle, token=token: question(kaggle, token), doing=doing, rules=rules)
            yield answer
            token = answer.next_page_token or ""
            if not token or token in seen:
                return

    def watch(
        self, look: Callable[[], Answer | None], *, limit: float, clock: Callable[[], float] = time.monotonic
    ) -> Answer | None:
        """What the first look that sees something sees; None when `limit` seconds are over. Looks at least once."""
        end, pause = clock() + limit, self.manners.poll
        while True:
            if (found := look()) is not None:
                return found
            if (left := end - clock()) <= 0:
                return None
            self.manners.sleep(min(pause, left))
            pause = min(1.5 * pause, self.manners.slowest)

    def _answer(self, question: Callable[[Any], Answer]) -> Answer:
        with self.api.build_kaggle_client() as client:
            return question(client)

    def _pause(self, state: Any) -> float:
        """Seconds before the next try.

        Raises:
            NotYetError: Kaggle asks for too many.
        """
        error = state.outcome.exception()
        headers = getattr(getattr(error, "response", None), "headers", None) or {}
        asked = retry_after(headers.get("Retry-After"), date=headers.get("Date"))
        if asked is not None and asked > self.manners.longest:
            raise NotYetError(f"Kaggle asks to be left alone for {asked:.0f} s", fix="come back then") from error
        grown = self.manners.wait * 2 ** (state.attempt_number - 1)
        return min(grown, self.manners.longest) if asked is None else asked


def connect(manners: Manners | None = None) -> Service:
    """Kaggle, signed in.

    Raises:
        ConfigError: the client is not installed.
        ServiceError: no credential, or one that Kaggle does not take, or no way to Kaggle.
    """
    manners, found = manners or Manners(), credentials.find()
    if found is None:
        raise ServiceError("no Kaggle credential in the variables KAGGLE_* or ~/.kaggle", fix=credentials.HOW)
    with words_apart(), time_limit(manners.timeout):
        try:
            from kaggle.api.kaggle_api_extended import KaggleApi
            from requests import RequestException
        except ImportError as error:
            fix = "pip install 'harness[kaggle]'"
            raise ConfigError(f"Kaggle's client is not there ({error})", fix=fix) from error
        api = KaggleApi()
        try:
            api.authenticate()
        except RequestException as error:
            cause = None if credentials.shown_by(error) else error
            raise failures.told(error, "signing in", rules="", once=False) from cause
        except (SystemExit, *failures.STRANGE, OSError):  # whose words may hold the credential
            raise credentials.refused(found) from None
    return Service(api, str(api.config_values.get("username") or ""), manners)


@contextlib.contextmanager
def words_apart() -> Iterator[None]:
    """Sends what the client prints to stderr: stdout carries results."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Lets no request inside wait longer for a byte, nor be repeated behind our back.

    The client opens sessions in many places and names a limit in few; requests knows no default. Its uploads are
    repeated ten times each, which of a silent host would take hours.
    """
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    unbounded = HTTPAdapter.send

    def send(self: Any, request: Any, **options: Any) -> Any:
        given = options.get("timeout")
        options["timeout"] = seconds if not isinstance(given, int | float) else min(given, seconds)
        self.max_retries = Retry(0, read=False)
        return unbounded(self, request, **options)

    HTTPAdapter.send = send  # pyright: ignore[reportAttributeAccessIssue]  # any options are taken
    try:
        yield
    finally:
        HTTPAdapter.send = unbounded
