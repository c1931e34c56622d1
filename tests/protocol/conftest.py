"""What the log would say of thousands of broken networks is not said."""

import logging

import pytest
import structlog

from commands import log


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = structlog.make_filtering_bound_logger(logging.ERROR)
    monkeypatch.setattr(log, "logger", structlog.wrap_logger(None, wrapper_class=silent))
