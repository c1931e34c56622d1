"""`logistics why`: why has this rider got the task, why not the others, why nobody?"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from gateway.problems import Problem
from gateway.why.asked import NoSuchTask, Why, asked
from gateway.why.told import round_of
from infra.artefacts import ObjectArtefacts, artefacts_of
from infra.endpoints import NotRunning, reached
from infra.observability import quiet
from infra.settings import load_settings
from streams.dispatch.again import CannotBeMadeAgain, differences

OTHERWISE = 1
"""There is no such task, or what was decided is not what its record leads to."""


class Again(msgspec.Struct, frozen=True, kw_only=True):
    """What came of making a round's decision again."""

    round: int
    same: bool | None
    """None where it cannot be made again."""
    told: str


class WhyAgain(msgspec.Struct, frozen=True, kw_only=True):
    why: Why
    again: list[Again]


def why(task: str, tenant: str | None, again: bool, data: Path | None, as_json: bool) -> int:
    """The exit code. Raises WrongSetting, NotRunning."""
    quiet()
    settings = reached(load_settings(data=data))
    try:
        found = asyncio.run(asked(settings.postgres.get_secret_value(), task, tenant))
        made = asyncio.run(made_again(artefacts_of(settings), found)) if again else []
    except psycopg.OperationalError as failed:
        raise NotRunning(f"Postgres does not answer: {failed}") from failed
    except Problem as failed:
        raise NotRunning(str(failed)) from failed
    except NoSuchTask as unknown:
        print(unknown, file=sys.stderr)
        return OTHERWISE
    if as_json:
        told = WhyAgain(why=found, again=made) if again else found
        print(msgspec.json.format(msgspec.json.encode(told)).decode())
    else:
        print("\n".join([*found.told, *(each.told for each in made)]))
    return OTHERWISE if any(each.same is False for each in made) else 0


async def made_again(store: ObjectArtefacts, found: Why) -> list[Again]:
    """Raises Problem where the store does not answer."""
    return [await round_again(store, found, decision) for decision in found.decisions]


async def round_again(store: ObjectArtefacts, found: Why, decision: dict[str, Any]) -> Again:
    number, digest = round_of(decision, found.task_id), decision["input_hash"]
    try:
        record = await store.decision(found.tenant, digest)
        if record is None:
            return Again(round=number, same=None, told=f"Round {number} cannot be decided again: its record is gone.")
        different = differences(decision, record)
    except (CannotBeMadeAgain, ValueError) as hindered:
        return Again(round=number, same=None, told=f"Round {number} cannot be decided again: {hindered}.")
    if different:
        told = f"Round {number}, decided again, is different: {', '.join(different)} (record {digest})."
        return Again(round=number, same=False, told=told)
    return Again(round=number, same=True, told=f"Round {number}, decided again, is the same (record {digest}).")
