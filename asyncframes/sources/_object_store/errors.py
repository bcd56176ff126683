"""Named errors for the exceptions of obstore."""

from __future__ import annotations

import re

from asyncframes.errors import (
    RangeNotSupportedError,
    SourceAccessError,
    SourceChangedError,
    SourceError,
    SourceNotFoundError,
    SourceTimeoutError,
    SourceUnavailableError,
)

_UNSATISFIABLE = "the object has no such range"

# Only the text of obstore's exceptions tells most failures apart.
_STATUS = re.compile(r"status code: (\d{3})|\bstatus: (\d{3})\b")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_KIND = re.compile(r"\bkind: (Connect|Timeout|Request|Interrupted|Decode|Unknown)\b")
_OTHER_RANGE = re.compile(r"UnexpectedRange|NotPartial|ContentRange")
_CREDENTIAL_HINTS = ("169.254.169.254", "metadata.google", "token request", "/api/token", "fd00:ec2")
_PLACES = {"NoSuchBucket": "bucket", "ContainerNotFound": "container"}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"}


def as_source_error(exc: Exception, *, name: str) -> SourceError:
    """Translate an exception of obstore's calls."""
    from obstore import exceptions

    text = str(exc)
    code = found[1] if (found := _CODE.search(text)) else None
    match exc:
        case FileNotFoundError():
            missing = _PLACES.get(code or "", "object")
            return SourceNotFoundError(f"there is no such {missing}", source=name)
        case exceptions.PreconditionError():
            return SourceChangedError("the object has changed since it was opened", source=name)
        case exceptions.PermissionDeniedError() | exceptions.UnauthenticatedError():
            return _denied(code, name=name)
        case ValueError() | exceptions.InvalidPathError():
            return SourceNotFoundError(
                "the key has an empty, '.' or '..' part, and obstore cannot read such keys", source=name
            )
        case _:
            return _by_text(text, code, name=name)


def is_unsatisfiable(error: RangeNotSupportedError) -> bool:
    """Return whether the server said that the range is past the end."""
    return str(error).startswith(_UNSATISFIABLE)


def _by_text(text: str, code: str | None, *, name: str) -> SourceError:
    status = int(next(filter(None, found.groups()))) if (found := _STATUS.search(text)) else None
    if any(hint in text for hint in _CREDENTIAL_HINTS):
        return SourceAccessError(
            "no credentials were found: pass them, set them in the environment, or pass skip_signature=True",
            source=name,
        )
    if status is not None:
        return _by_status(status, code, name=name)
    if "BadScheme" in text:
        return SourceAccessError(
            "the endpoint is not an https address: pass client_options={'allow_http': True}", source=name
        )
    kind = found[1] if (found := _KIND.search(text)) else None
    if kind == "Timeout" or "TimedOut" in text:
        return SourceTimeoutError("no bytes arrived within the time limit", source=name)
    if "BareRedirect" in text:
        return _elsewhere("a redirect without a target", name=name)
    if _OTHER_RANGE.search(text):
        return RangeNotSupportedError("the server sent other bytes than requested", source=name)
    return SourceUnavailableError(
        f"the connection to the store failed{f' ({kind})' if kind else ''}", source=name
    )


def _by_status(status: int, code: str | None, *, name: str) -> SourceError:
    said = f"{status} {code}" if code else str(status)
    if status == 416:
        return RangeNotSupportedError(f"{_UNSATISFIABLE} ({said})", source=name)
    if status in {301, 307, 308} or code == "AuthorizationHeaderMalformed":
        return _elsewhere(said, name=name)
    if status in {408, 425, 429} or status >= 500:
        return SourceUnavailableError(f"the store answered {said}, even after retries", source=name)
    return _denied(code, name=name, said=said)


def _elsewhere(said: str, *, name: str) -> SourceAccessError:
    return SourceAccessError(
        f"the bucket is in another region ({said}): pass region= or set AWS_REGION", source=name
    )


def _denied(code: str | None, *, name: str, said: str | None = None) -> SourceAccessError:
    if code in _EXPIRED:
        return SourceAccessError(f"the credentials have expired ({code})", source=name)
    reason = said or code or "access denied"
    return SourceAccessError(f"the store refused the request ({reason}): check the credentials", source=name)
