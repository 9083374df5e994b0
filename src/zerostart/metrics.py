"""Metrics in Prometheus' form, named after CloudWatch's where one exists.

https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

_LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
TEXT_FORM = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class CountedBatch:
    """A batch that an engine computed; `queue_waits_s` has the wait of each request that it was the first batch of."""

    pairs: int
    tokens: int
    padded_tokens: int
    engine_s: float
    queue_waits_s: tuple[float, ...]


class ModelServerMetrics:
    """What one model server counts. Buckets are seconds or pairs."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = self.registry
        self.pairs = Counter("zerostart_pairs", "Pairs of text and label that the engine computed.", registry=own)
        self.tokens = Counter("zerostart_tokens", "Tokens that the engine computed, padding left out.", registry=own)
        self.padded_tokens = Counter(
            "zerostart_padded_tokens", "Tokens that the engine computed, padding included.", registry=own
        )
        self.batch_pairs = Histogram(
            "zerostart_batch_pairs", "Pairs in one engine batch.", buckets=_SIZES, registry=own
        )
        self.engine = Histogram(
            "zerostart_engine_seconds", "Time of one engine batch.", buckets=_LATENCY_S, registry=own
        )
        self.queue_wait = Histogram(
            "zerostart_queue_wait_seconds",
            "Wait of a request for its first batch.",
            buckets=_LATENCY_S,
            registry=own,
        )
        self.queued_pairs = Gauge("zerostart_queued_pairs", "Pairs that wait now.", registry=own)

    def record_batch(self, batch: "CountedBatch") -> None:
        """Count one batch."""
        self.pairs.inc(batch.pairs)
        self.tokens.inc(batch.tokens)
        self.padded_tokens.inc(batch.padded_tokens)
        self.batch_pairs.observe(batch.pairs)
        self.engine.observe(batch.engine_s)
        for wait_s in batch.queue_waits_s:
            self.queue_wait.observe(wait_s)

    def exposition(self) -> bytes:
        """All of it, in the text form."""
        return generate_latest(self.registry)


class ControlPlaneMetrics:
    """What the server counts for each endpoint."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = self.registry
        labels = ("endpoint", "variant")
        self.invocations = Counter("zerostart_invocations", "Invocations of an endpoint.", ["endpoint"], registry=own)
        self.errors_4xx = Counter(
            "zerostart_invocation_4xx_errors",
            "Invocations answered 4xx, by code.",
            ["endpoint", "code"],
            registry=own,
        )
        self.errors_5xx = Counter(
            "zerostart_invocation_5xx_errors",
            "Invocations answered 5xx, by code.",
            ["endpoint", "code"],
            registry=own,
        )
        self.model_errors = Counter(
            "zerostart_invocation_model_errors",
            "Errors of the model server, by its status.",
            ["endpoint", "status"],
            registry=own,
        )
        self.model_latency = Histogram(
            "zerostart_model_latency_seconds",
            "Time that the instance took.",
            labels,
            buckets=_LATENCY_S,
            registry=own,
        )
        self.overhead_latency = Histogram(
            "zerostart_overhead_latency_seconds",
            "Time that the server added.",
            labels,
            buckets=_LATENCY_S,
            registry=own,
        )

    def record_answer(self, endpoint: str, variant: str, model_latency_s: float, total_s: float) -> None:
        """What an invocation took that an instance answered, `total_s` from its arrival."""
        self.model_latency.labels(endpoint, variant).observe(model_latency_s)
        self.overhead_latency.labels(endpoint, variant).observe(max(0.0, total_s - model_latency_s))

    def exposition(self, instances: Iterable[tuple[Mapping[str, str], str]]) -> bytes:
        """All of it, with the metrics of `instances`: for each, labels to add and its own text form."""
        merged = _Merged(instances)
        self.registry.register(merged)
        try:
            return generate_latest(self.registry)
        finally:
            self.registry.unregister(merged)


class _Merged:
    """The metrics of many instances as one family a name, each sample labelled with its instance."""

    def __init__(self, instances: Iterable[tuple[Mapping[str, str], str]]) -> None:
        self._families: dict[str, Metric] = {}
        for labels, text in instances:
            for family in text_string_to_metric_families(text):
                merged = self._families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    merged.samples.append(sample._replace(labels={**sample.labels, **labels}))

    def collect(self) -> Iterable[Metric]:
        """For prometheus_client."""
        return self._families.values()
