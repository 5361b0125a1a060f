"""What a failed question to Kaggle means: refused, not reached, or perhaps done."""

from __future__ import annotations

import json

from harness.errors import HarnessError, NotYetError, ServiceError, UnclearError, UnreachedError
from harness.kaggle import credentials

SITE = "https://www.kaggle.com"
BUSY = (408, 425, 429, 500, 502, 503, 504)
REFUSED = (400, 401, 403, 404)  # what Kaggle says of something that it did not do
# what the SDK raises where Kaggle answers something that it does not know: a new state, a field that is empty
STRANGE = (ValueError, KeyError, TypeError, AttributeError)


def _status(error: BaseException) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _unsent(error: BaseException) -> bool:
    """Whether Kaggle surely did nothing: too busy to listen, or no connection was made."""
    from requests import ConnectionError as Unconnected
    from requests import ConnectTimeout
    from requests.exceptions import InvalidHeader, InvalidURL
    from urllib3.exceptions import NameResolutionError, NewConnectionError

    if _led_elsewhere(error):
        return False
    if _status(error) == 429 or isinstance(error, ConnectTimeout | InvalidHeader | InvalidURL):
        return True
    reason = getattr(error.args[0], "reason", None) if isinstance(error, Unconnected) and error.args else None
    return isinstance(reason, NewConnectionError | NameResolutionError)


def _led_elsewhere(error: BaseException) -> bool:
    """Whether another address failed, to which the question's own answer led: the question itself arrived."""
    request, response = getattr(error, "request", None), getattr(error, "response", None)
    return bool(getattr(response, "history", None)) or getattr(request, "method", "POST") != "POST"


def again(error: BaseException, *, once: bool) -> bool:
    """Whether a question is worth asking again."""
    from requests import RequestException
    from requests.exceptions import InvalidHeader, InvalidURL

    if isinstance(error, json.JSONDecodeError):  # a page of a proxy in between
        return not once
    if not isinstance(error, RequestException) or isinstance(error, InvalidURL | InvalidHeader):
        return False
    if _unsent(error):
        return True
    return not once and (_status(error) is None or _status(error) in BUSY)


def told(error: Exception, doing: str, *, rules: str, once: bool) -> HarnessError:
    """The failure as one line."""
    from requests import RequestException

    status, page = _status(error), f"{SITE}/competitions/{rules}/rules"
    words = "a header it cannot send" if credentials.shown_by(error) else " ".join(str(error).split())[:300]
    if once and not _unsent(error) and (status not in REFUSED or _led_elsewhere(error)):
        return UnclearError(f"{doing}: no answer ({words}), it may have been done", fix="the same command finds out")
    if status == 401 or credentials.shown_by(error):
        return ServiceError(f"{doing}: Kaggle does not take the credential ({words})", fix=credentials.HOW)
    if status == 403 and rules:
        return ServiceError(f"{doing}: Kaggle refuses ({words})", fix=f"accept the rules at {page}")
    if status == 403:
        return ServiceError(f"{doing}: Kaggle refuses ({words})", fix="check that it is yours, or public")
    if status == 404:
        return ServiceError(f"{doing}: Kaggle has no such thing ({words})", fix="check its name on kaggle.com")
    if status == 429:
        return NotYetError(f"{doing}: Kaggle has had too many questions ({words})", fix="come back in some minutes")
    if status is not None and status not in BUSY:
        return ServiceError(f"{doing}: Kaggle refuses ({words})", fix="mend what it names")
    if isinstance(error, KeyError | TypeError | AttributeError):
        problem = f"{doing}: Kaggle's answer is one that its client does not know ({type(error).__name__}: {words})"
        return ServiceError(problem, fix="pip install --upgrade kaggle kagglesdk")
    if not isinstance(error, RequestException | json.JSONDecodeError):
        return ServiceError(f"{doing}: {words}", fix="mend what it names")
    return UnreachedError(f"{doing}: no way to Kaggle ({words})", fix="check the connection, and run it again")
