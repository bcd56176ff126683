"""What the application did, in the text format of Prometheus (extra ``web``)."""

from __future__ import annotations

from typing import Any

from asyncframes.errors import MissingExtraError
from asyncframes.web._open.videos import OpenVideos
from asyncframes.web._turns import Turns
from asyncframes.web._values import Reply

_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counts requests, if prometheus_client is installed. Each application has numbers of its own."""

    def __init__(self, videos: OpenVideos, turns: Turns) -> None:
        self._registry: Any = None
        try:
            import prometheus_client as prometheus
        except ImportError:
            return
        self._registry = registry = prometheus.CollectorRegistry()
        self._requests = prometheus.Counter(
            "asyncframes_requests", "Requests answered", ("route", "status"), registry=registry
        )
        self._seconds = prometheus.Histogram(
            "asyncframes_request_seconds",
            "Seconds until the head of an answer",
            ("route",),
            buckets=_BUCKETS,
            registry=registry,
        )
        gauges = {
            "open_videos": ("Videos that are open", lambda: len(videos)),
            "waiting_requests": ("Requests that wait for their turn", lambda: turns.waiting),
            "streams": ("Answers that last as long as their client reads", lambda: turns.streams),
        }
        for name, (what, value) in gauges.items():
            prometheus.Gauge(f"asyncframes_{name}", what, registry=registry).set_function(value)

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        if self._registry is not None:
            self._requests.labels(route, str(status)).inc()
            self._seconds.labels(route).observe(seconds)

    async def reply(self) -> Reply:
        """Return the numbers.

        Raises
        ------
        MissingExtraError
            prometheus_client is not installed.
        """
        if self._registry is None:
            raise MissingExtraError(
                "/metrics needs prometheus_client: pip install 'asyncframes-video[web]'", extra="web"
            )
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        headers = {"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"}
        return Reply(headers=headers, body=generate_latest(self._registry))
