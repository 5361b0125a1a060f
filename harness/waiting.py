"""How long a busy server asks to be left alone. Source: RFC 9110, sections 10.2.3 (Retry-After) and 6.6.1 (Date)."""

from __future__ import annotations

import email.utils
import time


def retry_after(text: str | None, *, date: str | None = None) -> float | None:
    """Seconds of a Retry-After header, which is a number or a date; None where there is none.

    Args:
        date: the answer's Date header, which a date is compared with: this machine's clock may be wrong.
    """
    if text is None:
        return None
    if text.strip().isdigit():
        return float(text)
    until = _moment(text)
    if until is None:
        return None
    now = _moment(date or "")
    return max(0.0, until - (time.time() if now is None else now))


def _moment(text: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None
