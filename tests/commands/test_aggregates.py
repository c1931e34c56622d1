"""Every command that there is belongs to an aggregate: what does not cannot be sent to the owner of another shard."""

import importlib
import pkgutil

import schemas
from commands.aggregates import AGGREGATES
from commands.wire import COMMANDS
from schemas.message import Command


def leaves(cls: type[Command]) -> set[type[Command]]:
    below = cls.__subclasses__()
    return {cls} if not below else {leaf for each in below for leaf in leaves(each)}


def test_every_command_is_one_aggregates_and_can_be_sent_on():
    for module in pkgutil.iter_modules(schemas.__path__):
        importlib.import_module(f"schemas.{module.name}")
    owned = [cls for known in AGGREGATES.values() for cls in known.commands]
    assert set(owned) == leaves(Command)
    assert len(owned) == len(set(owned))
    assert set(COMMANDS.values()) == set(owned)
