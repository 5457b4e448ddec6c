"""Counts for the operator, in Prometheus's text format.

What happens per frame is a plain int, bumped with ``+=`` (30 ns, a labelled counter takes 1,000) and turned into
a metric only when somebody scrapes. Whatever holds things has a ``statistics()``: ``watch`` makes gauges of it,
taken at that moment too. All of it belongs to the trio thread.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from protocol.requests import METHODS
from router.incident import report

Statistics = Mapping[str, int | float]

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_COMMIT_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)

#: attribute of Metrics -> what it counts
COUNTERS = {
    "connections_accepted": "TCP connections accepted",
    "frames_received": "WebSocket messages received",
    "frames_sent": "WebSocket messages sent",
    "bytes_received": "bytes received on WebSocket connections",
    "bytes_sent": "bytes sent on WebSocket connections",
    "slow_consumers": "connections ended with 4008",
}


class Metrics:
    """All counts of one server. Counters are attributes; see COUNTERS for their meaning."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.connections_open = 0
        self.connections_accepted = 0
        self.frames_received = 0
        self.frames_sent = 0
        self.bytes_received = 0
        self.bytes_sent = 0
        self.slow_consumers = 0
        self._refused: Counter[str] = Counter()
        self._requests: Counter[tuple[str, str]] = Counter()
        self._watched: dict[str, Callable[[], Statistics]] = {}
        self._commits = Histogram(
            "signalbox_commit_records", "records in one commit", buckets=_COMMIT_BUCKETS, registry=self.registry
        )
        self.registry.register(self)

    def refused(self, why: str) -> None:
        """A connection was answered with an error: ``why`` is a key of ``head.REFUSALS``, or ``overload``."""
        self._refused[why] += 1

    def request(self, method: str, outcome: str) -> None:
        """A request was answered: ``outcome`` is ``ok`` or the reason of the error."""
        self._requests[method if method in METHODS else "unknown", outcome] += 1

    def committed(self, records: int) -> None:
        """A batch of so many records was committed. The histogram's count is the number of batches."""
        self._commits.observe(records)

    def watch(self, name: str, statistics: Callable[[], Statistics]) -> None:
        """Call ``statistics`` at each scrape; its numbers become gauges ``signalbox_<name>_<key>``."""
        self._watched[name] = statistics

    def text(self) -> bytes:
        """Everything, as ``/metrics`` gives it out."""
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """The registry's side of it: plain ints as metrics."""
        yield GaugeMetricFamily("signalbox_connections_open", "connections now open", self.connections_open)
        for name, what in COUNTERS.items():
            yield CounterMetricFamily(f"signalbox_{name}", what, getattr(self, name))
        refused = CounterMetricFamily("signalbox_connections_refused", "refused, by reason", labels=["reason"])
        for why, count in self._refused.items():
            refused.add_metric([why], count)
        yield refused
        requests = CounterMetricFamily("signalbox_requests", "answered requests", labels=["method", "outcome"])
        for labels, count in self._requests.items():
            requests.add_metric(labels, count)
        yield requests
        for name, statistics in self._watched.items():
            yield from _gauges(name, statistics)


def _gauges(name: str, statistics: Callable[[], Statistics]) -> Iterator[Metric]:
    try:
        numbers = statistics()
    except Exception as problem:
        # one broken count must not hide the others from whoever looks for what is broken
        report("metrics.watch_failed", problem, watched=name)
        return
    for key, number in numbers.items():
        yield GaugeMetricFamily(re.sub(r"\W", "_", f"signalbox_{name}_{key}"), f"{name}: {key}", number)
