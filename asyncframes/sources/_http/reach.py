"""Which addresses the requests of a source may go to: schemes, hosts, and the number of redirects."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from yarl import URL

from asyncframes._model.quoting import shortened
from asyncframes._policy.hosts import PUBLIC, Hosts
from asyncframes._policy.policy import Policy
from asyncframes.errors import PolicyAccessError, SourceUnavailableError
from asyncframes.sources._admission import admit_schemes

USUAL_REDIRECTS = 10


@dataclass(slots=True)
class _Target:
    """The host that a request goes to, and its addresses that were refused."""

    host: str
    port: int
    refused: list[str] = field(default_factory=list)


# A connection is made in the task of the request that needs it, or in a child of that task.
_target: ContextVar[_Target] = ContextVar("asyncframes_http_target")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Where the requests of a source may go.

    Attributes
    ----------
    hosts
        Lists of hosts, each of which must allow an address.
    schemes
        Allowed schemes, ``None`` for http and https.
    max_redirects
        Most redirects of one request.
    """

    hosts: tuple[Hosts, ...] = ()
    schemes: Collection[str] | None = None
    max_redirects: int = USUAL_REDIRECTS

    def narrowed(self, policy: Policy) -> Reach:
        """Return what both this and a policy allow."""
        hosts = () if policy.hosts is None else (Hosts(sorted(policy.hosts)),)
        limits = [set(names) for names in (self.schemes, policy.schemes) if names is not None]
        return replace(
            self,
            hosts=self.hosts + tuple(more for more in hosts if more not in self.hosts),
            schemes=set.intersection(*limits) if limits else None,
            max_redirects=min(self.max_redirects, policy.max_redirects),
        )

    @property
    def is_guarded(self) -> bool:
        """Whether connections to some hosts are refused."""
        return bool(self.hosts)

    def check(self, url: URL, *, name: str) -> None:
        """Refuse an address before its host name is resolved.

        Raises
        ------
        PolicyAccessError
            Its scheme or its host is not allowed.
        """
        admit_schemes((url.scheme,), self.schemes, name=name)
        host, port = _place(url)
        for hosts in self.hosts:
            if not hosts.may_allow(host, port):
                raise _refused(hosts, f"{host}:{port}", name=name)

    @contextmanager
    def towards(self, url: URL, *, name: str) -> Iterator[None]:
        """Check the addresses of connections in the block, which are made for a URL.

        Raises
        ------
        PolicyAccessError
            No connection was made, and some address was refused.
        """
        target = _Target(*_place(url))
        token = _target.set(target)
        try:
            yield
        except SourceUnavailableError:
            if not target.refused:
                raise
            raise self._refused_address(target, name) from None
        finally:
            _target.reset(token)

    def admits(self, address: str, *, is_public: bool) -> bool:
        """Whether an address may be connected to, for the URL of the block around the call."""
        target = _target.get(None)
        if target is None:
            return not self.hosts
        if all(hosts.allows(target.host, target.port, address, is_public=is_public) for hosts in self.hosts):
            return True
        target.refused.append(address)
        return False

    def too_many_redirects(self, *, name: str) -> PolicyAccessError:
        """Return the error for one redirect too many."""
        return PolicyAccessError(
            f"the server sent more than {self.max_redirects} redirects",
            source=name,
            limit="max_redirects",
            allowed=self.max_redirects,
            found=self.max_redirects + 1,
        )

    def _refused_address(self, target: _Target, name: str) -> PolicyAccessError:
        # The message does not tell the address, because a service may show it to the one who asked.
        return _refused(self.hosts[-1], target.refused[0], name=name, resolved=True)


def _place(url: URL) -> tuple[str, int]:
    return url.raw_host or "", url.port or 0


def _refused(hosts: Hosts, found: str, *, name: str, resolved: bool = False) -> PolicyAccessError:
    if resolved and hosts.entries == (PUBLIC,):
        message = "the address is in a private network: expected a public address"
    else:
        allowed = shortened(", ".join(hosts.entries)) or "none"
        what = "the address of the host" if resolved else "the host"
        message = f"{what} is not among the allowed hosts: expected one of {allowed}"
    return PolicyAccessError(message, source=name, limit="hosts", allowed=hosts.entries, found=found)
