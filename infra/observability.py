"""How log lines look: JSON or for people, from one level on, ours and the libraries' alike."""

import logging
import sys

import structlog
from structlog.typing import Processor

from infra.failures import name_failures, print_traced, quote_nothing, traced
from infra.settings import Settings

LIBRARIES = "warning"
"""Theirs from here on, unless ours are asked for in more detail."""


def configure(settings: Settings) -> None:
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        name_failures,
    ]
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[*shared, *rendered(settings)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    _libraries(settings, shared)


def rendered(settings: Settings) -> list[Processor]:
    if settings.log_format == "console":
        return [for_people()]
    return [structlog.processors.ExceptionRenderer(traced), structlog.processors.JSONRenderer(default=str)]


def for_people() -> Processor:
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=print_traced)


def _libraries(settings: Settings, shared: list[Processor]) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, quote_nothing],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered(settings)],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.DEBUG if settings.log_level == "debug" else LIBRARIES.upper())


def quiet() -> None:
    """For programs that talk to people in their own words: what libraries log is left out, and ours below errors."""
    logging.getLogger().addHandler(logging.NullHandler())
    structlog.configure(
        processors=[structlog.processors.add_log_level, name_failures, for_people()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),  # what they say themselves may be for a machine
    )
