"""What the page on tasks shows can be sent as it stands there."""

import re
from pathlib import Path

import pytest
from story import nothing_yet

from gateway.commands import OPEN
from schemas.task import CreateTask

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [(DOCS / name).read_text() for name in ("tasks.md", "personal-data.md", "dispatch.md", "routing.md")]
SHOWN = [found for page in PAGES for found in re.findall(r"```json (\w+)\n(.*?)```", page, re.DOTALL)]
COMMANDS = {known.cls.__name__: known for known in OPEN}


def test_it_shows_something():
    assert len(SHOWN) >= 12


@pytest.mark.parametrize(("name", "body"), SHOWN)
def test_each_body_is_one_of_its_command(name: str, body: str):
    command = COMMANDS[name].decoder.decode(body)
    if isinstance(command, CreateTask):
        story = nothing_yet("task").when(command).happened()
        assert story.state.kind == command.kind


def test_each_command_that_it_names_is_one_of_the_doors():
    words = {known.word for known in OPEN if known.kind in ("task", "tenant", "rider", "pick_wave")}
    named = set(
        re.findall(r"`((?:report|set|hold|release|update|reschedule|reattempt|waive|retime)-[a-z-]+)`", PAGES[0])
    )
    assert named
    assert named <= words, named - words
