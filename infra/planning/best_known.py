"""Best known solutions of instances: a JSON object by the instance's name, the file's without its ending.

Each has `solved_with_vehicles` and `best_known_cost`, vehicles first; and in `distance_objective`, where known, the
same for the shortest distance, whatever the vehicles.
"""

from pathlib import Path

import msgspec

from streams.planning.problem import Objective


class BestKnown(msgspec.Struct, frozen=True):
    vehicles: int
    distance: float


class Entry(msgspec.Struct, frozen=True):
    solved_with_vehicles: int
    best_known_cost: float
    distance_objective: "Entry | None" = None


class WrongBestKnown(ValueError):
    """Names the file, and what is wrong with it."""


def best_known(file: Path, name: str, objective: Objective) -> BestKnown:
    """Raises WrongBestKnown, also where the instance is not listed."""
    try:
        listed = msgspec.json.decode(file.read_bytes(), type=dict[str, Entry])
    except (OSError, msgspec.MsgspecError) as wrong:
        raise WrongBestKnown(f"{file}: {wrong}") from wrong
    entry = listed.get(name)
    if entry is None:
        raise WrongBestKnown(f"{file}: there is no {name} in it, which is the instance's file without its ending")
    if objective != "vehicles":
        entry = entry.distance_objective or entry
    if entry.best_known_cost <= 0:
        raise WrongBestKnown(f"{file}: {name}: best_known_cost is {entry.best_known_cost}, must be more than 0")
    return BestKnown(entry.solved_with_vehicles, entry.best_known_cost)
