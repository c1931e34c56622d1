"""What each command can be answered when it is refused, in OpenAPI: a response for each status, with its examples.

Many commands can be refused alike; a response stands once, under the name of the first that has it.
"""

from functools import cache
from itertools import chain
from typing import Any

from gateway.commands import OPEN, OpenCommand
from gateway.examples.problems import Example, of_rule, problems_met
from gateway.examples.refusals import REFUSALS

type Json = dict[str, Any]


@cache
def examples_met() -> dict[OpenCommand, dict[int, tuple[Example, ...]]]:
    found: dict[OpenCommand, dict[int, tuple[Example, ...]]] = {}
    for known in OPEN:
        by_status: dict[int, tuple[Example, ...]] = {}
        for example in problems_met(known):
            by_status[example.status] = (*by_status.get(example.status, ()), example)
        found[known] = by_status
    return found


@cache
def response_names() -> dict[tuple[str, ...], str]:
    """By the names of the examples."""
    found: dict[tuple[str, ...], str] = {}
    for known, by_status in examples_met().items():
        for status, examples in by_status.items():
            found.setdefault(names_of(examples), f"{known.cls.__name__}{status}")
    return found


def names_of(examples: tuple[Example, ...]) -> tuple[str, ...]:
    return tuple(example.name for example in examples)


def command_problems(known: OpenCommand) -> Json:
    names = response_names()
    return {
        str(status): {"$ref": f"#/components/responses/{names[names_of(examples)]}"}
        for status, examples in examples_met()[known].items()
    }


def responses_met() -> dict[str, tuple[Example, ...]]:
    """The examples of each response, by its name."""
    names = response_names()
    return {
        names[names_of(examples)]: examples for by_status in examples_met().values() for examples in by_status.values()
    }


def every_problem() -> list[Example]:
    """Those of rules that only our own processes meet are among them."""
    met = (examples for by_status in examples_met().values() for examples in by_status.values())
    return list({example.name: example for example in chain(map(of_rule, REFUSALS), *met)}.values())
