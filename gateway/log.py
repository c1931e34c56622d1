"""One line for each request. It names ids, and no personal data: neither bodies nor parameters."""

from time import perf_counter

import structlog

from gateway import metrics
from gateway.call import Call

QUIET = frozenset({"/livez", "/readyz", "/metrics"})
KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

logger = structlog.get_logger("gateway")


def access(call: Call, status: int) -> None:
    seconds = perf_counter() - call.started_s
    method = call.method if call.method in KNOWN_METHODS else "OTHER"
    metrics.counter(call.route, method, status).inc()
    metrics.timer(call.route, method).observe(seconds)
    write = logger.debug if call.route in QUIET else logger.info
    write(
        "request",
        request_id=call.request_id,
        trace_id=call.trace_id,
        tenant=call.tenant,
        method=method,
        route=call.route,
        command_id=call.command_id,
        status=status,
        ms=round(seconds * 1000, 1),
    )


def failure(call: Call, failed: Exception) -> None:
    """What nobody foresaw: a fault of ours, with its traceback."""
    logger.error(
        "request failed",
        request_id=call.request_id,
        trace_id=call.trace_id,
        tenant=call.tenant,
        route=call.route,
        error=type(failed).__name__,
        exc_info=failed,
    )


def personal_read(call: Call, aggregate_id: str, subjects: list[str]) -> None:
    """Who has read whose data."""
    logger.info(
        "personal data read",
        request_id=call.request_id,
        tenant=call.tenant,
        reader=None if call.caller is None else call.caller.subject,
        role=None if call.caller is None else call.caller.role,
        aggregate_id=aggregate_id,
        subjects=subjects,
    )


def artefact_read(call: Call, digest: str, *, by_link: bool) -> None:
    """Who has looked at it, or on whose word."""
    logger.info(
        "artefact read",
        request_id=call.request_id,
        tenant=call.tenant,
        reader=None if call.caller is None else call.caller.subject,
        role=None if call.caller is None else call.caller.role,
        artefact=digest,
        by_link=by_link,
    )
