"""The log made ready before anybody writes: its topics as they must be, its schemas registered."""

from collections.abc import Mapping
from typing import Any

from infra.kafka import ensure_topics
from infra.schema_topic import register
from infra.settings import Settings


async def set_up_log(settings: Settings, args: Mapping[str, Any]) -> list[str]:
    """The names of the topics that were made. Raises WrongTopic."""
    made = await ensure_topics(settings, args)
    await register(args)
    return made
