"""Errors as answers: their status, and bodies as RFC 9457 describes them."""

from __future__ import annotations

import json
from http import HTTPStatus

from asyncframes import errors
from asyncframes._model.quoting import shortened
from asyncframes.web._values import Reply

RETRY_AFTER_SECONDS = 1

# The first class that fits counts, so a subclass stands before its base.
_STATUS: tuple[tuple[type[BaseException], int], ...] = (
    (errors.DeadlineError, 504),
    (errors.SourceTimeoutError, 504),
    (errors.PolicyLimitError, 413),
    (errors.PolicyAccessError, 403),
    (errors.PolicyError, 503),
    (errors.SourceNotFoundError, 404),
    (errors.SourceAccessError, 403),
    (errors.SourceChangedError, 410),
    (errors.SourceAddressError, 422),
    (errors.SourceError, 503),
    (errors.FrameIndexError, 404),
    (errors.CropError, 422),
    (errors.FrameEncodeError, 422),
    (errors.MediaError, 422),
    (errors.DecoderCrashedError, 422),
    (errors.MissingExtraError, 501),
    (TimeoutError, 504),
    (ValueError, 400),
)


class ProblemError(Exception):
    """An answer other than what was asked for.

    Attributes
    ----------
    status
        Status of HTTP.
    code
        Name of the error.
    headers
        More headers of the answer.
    """

    def __init__(
        self, status: int, detail: str, *, code: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code or HTTPStatus(status).phrase.replace(" ", "")
        self.headers = headers or {}


def busy(detail: str, *, status: int = 503) -> ProblemError:
    """Return the problem of a server that has too much to do."""
    return ProblemError(status, detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def problem_of(exc: BaseException) -> ProblemError | None:
    """Return an error as a problem; ``None`` if it is not the client's or the source's."""
    if isinstance(exc, ProblemError):
        return exc
    status = next((status for kind, status in _STATUS if isinstance(exc, kind)), None)
    if status is None:
        return None
    headers = {"Retry-After": str(_retry_after(exc))} if status == 503 else {}
    detail = "the request took too long" if type(exc) is TimeoutError else _without_source(exc)
    return ProblemError(status, detail, code=type(exc).__name__, headers=headers)


def reply_of(problem: ProblemError) -> Reply:
    """Return a problem as an answer."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": str(problem),
        "code": problem.code,
    }
    headers = {"Content-Type": "application/problem+json", "Cache-Control": "no-store"}
    return Reply(
        status=problem.status, headers=headers | problem.headers, body=json.dumps(body).encode("ascii")
    )


def _retry_after(exc: BaseException) -> int:
    seconds = getattr(exc, "retry_after_seconds", None)
    return RETRY_AFTER_SECONDS if seconds is None else max(1, min(3600, round(seconds)))


def _without_source(exc: BaseException) -> str:
    """Return the text of an error without what is the server's own: paths, and addresses of its network."""
    if isinstance(exc, errors.SourceError) and not isinstance(exc, errors.PolicyLimitError):
        return "the bytes of the video cannot be read"
    text, source = str(exc), getattr(exc, "source", None)
    if not source:
        return text
    name = shortened(str(source))
    return text.removesuffix(f" [{name}]").replace(name, "the video")
