"""What `/metrics` tells Prometheus. Names of queues and versions are labels; no text of a ticket ever is."""

from __future__ import annotations

from finetune.serving.answers import Answer, Draft

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


class Metrics:
    """Counters, gauges and histograms of one server, in a registry of its own."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.registry = CollectorRegistry()
        about_model = ("model", "version")

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"trainwise_{name}", text, labels, registry=self.registry)

        self.requests = counter("requests", "Requests by path and status.", "path", "status")
        self.errors = counter("errors", "Tickets that a version failed on.", *about_model)
        self.answered = counter("answered", "Tickets answered alone, by queue.", *about_model, "queue")
        self.abstained = counter(
            "abstained", "Tickets left to people, by likeliest queue.", *about_model, "queue"
        )
        self.drafts = counter(
            "drafts", "Replies written, whole or cut at their longest.", *about_model, "end"
        )
        self.tokens = counter("written_tokens", "Tokens of replies.", *about_model)
        self.far = counter("far", "Tickets near no training ticket.", *about_model)
        self.rollbacks = counter("rollbacks", "Versions taken off duty by the server.", "model", "reason")
        self.load_failures = counter("load_failures", "Versions that did not load.", "model")
        self.latency = Histogram(
            "trainwise_request_seconds",
            "Seconds of a request.",
            ("path",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.confidence = Histogram(
            "trainwise_confidence",
            "Confidence of the likeliest queue.",
            about_model,
            buckets=SHARES,
            registry=self.registry,
        )
        self.queue = Gauge(
            "trainwise_queue_tickets", "Tickets that wait or are being scored.", registry=self.registry
        )
        self.version = Gauge(
            "trainwise_version",
            "1 for each version that answers, by its share.",
            (*about_model, "role"),
            registry=self.registry,
        )

    def count(self, model: str, version: str, answer: Answer | Draft) -> None:
        """One answered or abstained ticket, or one reply."""
        if isinstance(answer, Draft):
            self.drafts.labels(model, version, "cut" if answer.is_cut else "whole").inc()
            self.tokens.labels(model, version).inc(answer.length)
            return
        side = self.answered if answer.queue is not None else self.abstained
        side.labels(model, version, answer.likeliest[0][0]).inc()
        self.confidence.labels(model, version).observe(answer.confidence)
        if not answer.is_near:
            self.far.labels(model, version).inc()

    def text(self) -> bytes:
        """Everything in Prometheus' text form."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry)
