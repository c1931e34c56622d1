"""A task's stops as a carrier is told of them: where, when and how much; whom one meets only where it has the task."""

from collections.abc import Mapping
from typing import Any

import msgspec

from infra.lookups import OVER, load_of
from projections.sealed import Sealed, opened
from schemas.codec import Unseal
from schemas.geo import Location

type Row = Mapping[str, Any]


def stops_of(task: Row, unseal: Unseal, *, meets: bool) -> list[dict[str, Any]]:
    """Of a row of task_detail those that are ahead. What is of somebody who is forgotten is None."""
    status = {stop_id: stop["status"] for stop_id, stop in task["progress"]["stops"].items()}
    ahead = [stop for stop in task["stops"] if status.get(stop["stop_id"]) not in OVER]
    return [stop_of(stop, task, unseal) | (met_at(stop, unseal) if meets else {}) for stop in ahead]


def stop_of(stop: Row, task: Row, unseal: Unseal) -> dict[str, Any]:
    place = of_person(stop["location"], unseal, Location)
    load = load_of(stop["stop_id"], stop["kind"], task["parcels"].values())
    return {
        "stop_id": stop["stop_id"],
        "kind": stop["kind"],
        "location": None if place is None else msgspec.to_builtins(place),
        "postal_code": of_person(stop["postal_code"], unseal, str),
        "window": stop["window"],
        "service_seconds": stop["service_seconds"],
        "goods_ready_at": stop["goods_ready_at"],
        "minimum_age": stop["minimum_age"],
        "load": msgspec.to_builtins(load),
    }


def met_at(stop: Row, unseal: Unseal) -> dict[str, Any]:
    contact = stop["contact"] or {}
    return {
        "address": of_person(stop["address"], unseal, str),
        "contact": {name: of_person(value, unseal, str) for name, value in contact.items()} or None,
        "required_proof": stop["required_proof"],
    }


def of_person[T](sealed: Any, unseal: Unseal, tp: type[T]) -> T | None:
    return None if sealed is None else opened(msgspec.convert(sealed, Sealed), unseal, tp)
