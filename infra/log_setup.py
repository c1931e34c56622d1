"""The log made ready before anybody writes: the cluster proven, its topics as they must be, its schemas registered."""

from collections.abc import Mapping
from typing import Any

from infra.kafka import ensure_topics
from infra.probe import prove
from infra.schema_topic import register
from infra.settings import Settings


async def set_up_log(settings: Settings, args: Mapping[str, Any], *, outside: bool = False) -> list[str]:
    """The names of the topics that were made. `outside`: a cluster that we did not start is proven first.

    Raises NotTrusted, WrongTopic, NotRunning.
    """
    if outside:
        await prove(settings, args)
    made = await ensure_topics(settings, args)
    await register(args)
    return made
