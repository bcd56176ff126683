"""Which sources a policy admits."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from asyncframes._model.quoting import a_kind, shortened
from asyncframes._policy.policy import Policy
from asyncframes.abc import Source
from asyncframes.errors import PolicyAccessError

_CALLED = {"file": "local files and file descriptors"}


def admit(source: Source, policy: Policy) -> None:
    """Refuse a source that a policy does not admit.

    Raises
    ------
    PolicyAccessError
        One of its schemes is not allowed, or its connections cannot be checked.
    """
    schemes = source._schemes
    admit_schemes(schemes, policy.schemes, name=source.name)
    if schemes and policy.hosts is not None and not source._checks_hosts:
        raise PolicyAccessError(
            f"the connections of {a_kind(source)} for {schemes[0]} cannot be checked, and the "
            "policy limits hosts: pass the URL itself, or a policy with hosts=None",
            source=source.name,
            limit="hosts",
            allowed=tuple(sorted(policy.hosts)),
            found=schemes[0],
        )


def admit_schemes(schemes: Sequence[str], allowed: Collection[str] | None, *, name: str) -> None:
    """Refuse schemes that are not among those allowed, ``None`` for all.

    Raises
    ------
    PolicyAccessError
        One of them is not allowed.
    """
    for scheme in schemes:
        if allowed is not None and scheme not in allowed:
            known = ", ".join(sorted(allowed)) or "none"
            what = _CALLED.get(scheme, f"{shortened(scheme, longest=40)} addresses")
            raise PolicyAccessError(
                f"the policy does not allow {what}: expected one of the schemes {known}",
                source=name,
                limit="schemes",
                allowed=tuple(sorted(allowed)),
                found=scheme,
            )
