"""Which rules can refuse a command: told by the decisions' own source, which is read and not run.

From where its aggregate decides, each function that is named is followed, and each method that is called; what is for
other commands is passed over. A rule that is found may refuse the command, though no state may lead there; one that
is raised by a method is found where its module is in `WITH_METHODS`.
"""

import ast
import sys
from collections.abc import Iterable
from functools import cache
from inspect import getsource
from types import FunctionType

from commands.aggregates import AGGREGATES
from commands.context import UnknownTenant
from commands.incident import TimelineMissing
from commands.order import AlreadyExists, CommandTooLarge, IdempotencyKeyReused, VersionConflict
from gateway.named import RULES
from schemas.directory import CreateTenant
from schemas.incident import SealIncident
from schemas.message import Command, Refused, UnknownAggregate

type Rules = frozenset[type[Refused]]

NONE: Rules = frozenset()
OF_JUDGING: Rules = frozenset({IdempotencyKeyReused, VersionConflict, CommandTooLarge})
"""Before anything is decided, or after: see `commands.judging`."""
ANSWERED_HERE: dict[type[Command], Rules] = {SealIncident: frozenset({TimelineMissing})}
"""On this side of the door it is seen to that they cannot be met."""
WITH_METHODS = ("commands.context", "commands.registries", "commands.carrier_contract")
"""Modules of what a decision asks by methods."""


@cache
def rules_met(kind: str, command: type[Command]) -> Rules:
    aggregate = AGGREGATES[kind]
    decide = aggregate.decide
    judged = OF_JUDGING | {AlreadyExists if command is aggregate.creating else UnknownAggregate}
    if command is not CreateTenant:
        judged |= {UnknownTenant}
    found = Walk(command).function(decide.__module__, functions_of(decide.__module__)[decide.__name__])
    return judged | RULES.get(command, NONE) | found - ANSWERED_HERE.get(command, NONE)


class Walk:
    """Through the decisions, for one command."""

    def __init__(self, command: type[Command]) -> None:
        self._command = command
        self._found: dict[tuple[str, int], Rules] = {}

    def function(self, room: str, function: ast.FunctionDef) -> Rules:
        """`room` is the module that it stands in."""
        key = (room, function.lineno)
        if key not in self._found:
            self._found[key] = NONE  # while it is followed: it may come back to itself
            self._found[key] = self._all(room, function.body)
        return self._found[key]

    def _all(self, room: str, nodes: Iterable[ast.AST]) -> Rules:
        return NONE.union(*(self._node(room, node) for node in nodes))

    def _node(self, room: str, node: ast.AST) -> Rules:
        match node:
            case ast.Name(id=name):
                return self._named(getattr(sys.modules[room], name, None))
            case ast.Call(func=ast.Attribute(attr=name)):
                return self._all(room, ast.iter_child_nodes(node)) | self._method(name, is_property=False)
            case ast.Attribute(attr=name):
                return self._node(room, node.value) | self._method(name, is_property=True)
            case ast.Match():
                meant = [case for case in node.cases if self._is_meant(room, case.pattern)]
                return self._all(room, [node.subject, *meant])
            case ast.If() | ast.IfExp() if self._is_of_others(room, node.test):
                return self._all(room, node.orelse if isinstance(node, ast.If) else [node.orelse])
            case ast.Try():
                caught = NONE.union(*(rules_in(room, handler.type) for handler in node.handlers))
                inside = {rule for rule in self._all(room, node.body) if not issubclass(rule, tuple(caught))}
                return self._all(room, [*node.handlers, *node.orelse, *node.finalbody]) | inside
            case ast.ExceptHandler(body=body):
                return self._all(room, body)
            case ast.AnnAssign(value=value):
                return NONE if value is None else self._node(room, value)
            case _:
                return self._all(room, ast.iter_child_nodes(node))

    def _named(self, named: object) -> Rules:
        if isinstance(named, type) and issubclass(named, Refused):
            return frozenset({named})
        if isinstance(named, FunctionType) and named.__module__.startswith("commands."):
            function = functions_of(named.__module__).get(named.__name__)
            return NONE if function is None else self.function(named.__module__, function)
        return NONE

    def _method(self, name: str, *, is_property: bool) -> Rules:
        found = [known for known in methods().get(name, ()) if bool(known[1].decorator_list) == is_property]
        return NONE.union(*(self.function(room, method) for room, method in found))

    def _is_meant(self, room: str, pattern: ast.AST) -> bool:
        named = commands_in(room, pattern)
        return not named or issubclass(self._command, named)

    def _is_of_others(self, room: str, test: ast.AST) -> bool:
        """Whether it asks, maybe among else, for another command."""
        match test:
            case ast.BoolOp(op=ast.And(), values=values):
                return any(self._is_of_others(room, value) for value in values)
            case ast.Call(func=ast.Name(id="isinstance"), args=[_, asked]):
                return not self._is_meant(room, asked)
            case _:
                return False


def names_in(room: str, node: ast.AST) -> list[object]:
    return [getattr(sys.modules[room], name.id, None) for name in ast.walk(node) if isinstance(name, ast.Name)]


def commands_in(room: str, node: ast.AST) -> tuple[type[Command], ...]:
    return tuple(named for named in names_in(room, node) if isinstance(named, type) and issubclass(named, Command))


def rules_in(room: str, node: ast.AST | None) -> Rules:
    named = names_in(room, node) if node is not None else []
    return frozenset(rule for rule in named if isinstance(rule, type) and issubclass(rule, Refused))


@cache
def functions_of(room: str) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in parsed(room).body if isinstance(node, ast.FunctionDef)}


@cache
def methods() -> dict[str, list[tuple[str, ast.FunctionDef]]]:
    found: dict[str, list[tuple[str, ast.FunctionDef]]] = {}
    for room in WITH_METHODS:
        for cls in parsed(room).body:
            for node in cls.body if isinstance(cls, ast.ClassDef) else ():
                if isinstance(node, ast.FunctionDef) and not node.name.startswith("__"):
                    found.setdefault(node.name, []).append((room, node))
    return found


@cache
def parsed(room: str) -> ast.Module:
    return ast.parse(getsource(sys.modules[room]))
