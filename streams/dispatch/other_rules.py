"""A tenant's dispatch rules of which some are given otherwise."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from schemas.dispatch_rules import DispatchRules

IN_PARTS = ("filters", "weights")


def with_given(rules: DispatchRules, given: Mapping[str, Any]) -> DispatchRules:
    """What is left out stays as it is, also within `filters` and `weights`. Raises msgspec.ValidationError."""
    parsed = msgspec.convert(given, DispatchRules)
    parts = {
        name: replace(getattr(rules, name), **{field: getattr(getattr(parsed, name), field) for field in given[name]})
        for name in IN_PARTS
        if name in given
    }
    return replace(rules, **({name: getattr(parsed, name) for name in given} | parts))
