"""What the door counts, for Prometheus."""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("logistics_requests", "Requests answered.", ["route", "method", "status"])
SECONDS = Histogram(
    "logistics_request_seconds",
    "Seconds from a request's first byte to its answer's last.",
    ["route", "method"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30),
)
WAITING = Gauge("logistics_waiting_reads", "Reads that wait for their read model.")
STREAMS = Gauge("logistics_open_streams", "Event streams that are open.")


@cache
def counter(route: str, method: str, status: int) -> Counter:
    """Routes are templates and methods those of the routes, so that there are few."""
    return REQUESTS.labels(route, method, str(status))


@cache
def timer(route: str, method: str) -> Histogram:
    return SECONDS.labels(route, method)
