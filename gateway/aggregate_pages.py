"""docs/aggregates/, a page for each kind of aggregate: its life as a diagram, its commands, its events.

All of it comes from the code that decides; `python -m gateway.aggregate_pages` writes it.
"""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

from commands.aggregates import AGGREGATES, Aggregate
from commands.life import NEW
from gateway.allowed import SENDERS
from gateway.commands import OPEN
from schemas.message import Command, Event

PAGES = Path(__file__).parent.parent / "docs" / "aggregates"
MADE = "This page is made from the code by `python -m gateway.aggregate_pages`."


def pages() -> dict[str, str]:
    """File name → content."""
    return {"README.md": contents()} | {f"{known.plural}.md": page(known) for known in AGGREGATES.values()}


def contents() -> str:
    listed = [f"- [{title(known)}]({known.plural}.md): {about(known)}" for known in AGGREGATES.values()]
    return "\n".join(["# Aggregates", "", "One aggregate is one stream of events. " + MADE, "", *listed, ""])


def page(known: Aggregate) -> str:
    lines = [
        f"# {title(known)}",
        "",
        f"{about(known)} Its events stand in `{known.topic}`. {MADE}",
        "",
        "## Life",
        "",
        "```mermaid",
        *diagram(known),
        "```",
        "",
        "## Commands",
        "",
        "| command | who | |",
        "|---|---|---|",
        *(command_row(known, cls) for cls in known.commands),
        "",
        "## Events",
        "",
        "| event | leads from … to | stays in | |",
        "|---|---|---|---|",
        *(event_row(known, cls) for cls in known.events),
        "",
    ]
    return "\n".join(lines)


def diagram(known: Aggregate) -> Iterator[str]:
    yield "stateDiagram-v2"
    arrows: dict[tuple[str, str], list[str]] = {}
    for event, moves in known.life.moves.items():
        for before, after in sorted(moves):
            if before != after:
                arrows.setdefault((before, after), []).append(event.__name__)
    for (before, after), events in arrows.items():
        yield f"    {'[*]' if before == NEW else before} --> {after}: {', '.join(events)}"
    for end in sorted(known.life.ends):
        yield f"    {end} --> [*]"


def command_row(known: Aggregate, cls: type[Command]) -> str:
    roles = SENDERS.get(cls)
    if roles is None:
        return f"| {cls.__name__} | our own processes | {said(cls)} |"
    route = next(each.route for each in OPEN if each.cls is cls)
    return f"| `POST {route}` | {', '.join(sorted(roles))} | {said(cls)} |"


def event_row(known: Aggregate, cls: type[Event]) -> str:
    moves = sorted(known.life.moves[cls])
    leads = [f"{before} → {after}" for before, after in moves if before != after]
    stays = [before for before, after in moves if before == after]
    return f"| {cls.__name__} | {'<br>'.join(leads)} | {', '.join(stays)} | {said(cls)} |"


def said(cls: type) -> str:
    """Its docstring in one line, with nothing that would break a table."""
    own = cls.__dict__.get("__doc__")
    return " ".join(own.split()).replace("|", "\\|") if own else ""


def title(known: Aggregate) -> str:
    return known.kind.replace("_", " ").capitalize().replace("Sla", "SLA")


def about(known: Aggregate) -> str:
    """What the file that decides says of itself."""
    module = inspect.getmodule(known.decide)
    words = (module.__doc__ if module else None) or ""
    first = words.strip().split("\n\n")[0]
    told = re.sub(r"^[A-Za-z ]+: ", "", " ".join(first.split()))
    return told[:1].upper() + told[1:]


def main() -> None:
    PAGES.mkdir(parents=True, exist_ok=True)
    for name, content in pages().items():
        (PAGES / name).write_text(content)


if __name__ == "__main__":
    main()
