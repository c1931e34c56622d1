"""The one program: what it can do, and what it says to what it cannot."""

import subprocess
import sys
from importlib.metadata import version

import pytest

COMMANDS = (
    *("up", "serve", "migrate", "demo", "check", "rebuild", "topics", "simulate"),
    *("status", "token", "tail", "why", "plan", "config"),
)


def logistics(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "infra.cli", *words], capture_output=True, text=True, check=False)


def test_it_tells_its_version_and_every_command():
    assert logistics("--version").stdout == f"logistics {version('logistics')}\n"
    said = logistics("-h").stdout
    assert all(f" {command} " in said for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_tells_what_it_takes(command: str):
    told = logistics(command, "-h")
    assert told.returncode == 0
    assert f" {command} " in told.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("fly",),
        ("up", "--fast"),
        ("serve",),
        ("token",),
        ("why",),
        ("simulate", "--orders", "made:1", "--policy", "no.json"),
    ],
)
def test_wrong_use_ends_with_2_and_says_what_is_wrong(words: tuple[str, ...]):
    told = logistics(*words)
    assert told.returncode == 2
    assert told.stderr.strip()
