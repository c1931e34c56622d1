"""A file that a command line names."""

from pathlib import Path
from typing import Any

import msgspec

from gateway.validation import misfits, place_of
from infra.settings import WrongSetting


def content_of(option: str, file: Path, most_bytes: int) -> bytes:
    """Raises WrongSetting."""
    try:
        with file.open("rb") as opened:
            content = opened.read(most_bytes + 1)
    except OSError as unread:
        raise WrongSetting(f"{option} {file}: it cannot be read: {unread.strerror}") from unread
    if len(content) > most_bytes:
        raise WrongSetting(f"{option} {file}: larger than {most_bytes >> 20} MiB")
    return content


def json_of[T: msgspec.Struct](option: str, file: Path, most_bytes: int, cls: type[T]) -> tuple[dict[str, Any], T]:
    """What a JSON file names, and all of it as `cls` has it. Raises WrongSetting, which names each field that does not
    fit."""
    content = content_of(option, file, most_bytes)
    try:
        given = msgspec.json.decode(content)
    except (ValueError, RecursionError) as broken:
        line, column, what = place_of(content, broken)
        raise WrongSetting(f"{option} {file}: line {line}, column {column}: {what}") from broken
    try:
        return given, msgspec.convert(given, cls)
    except msgspec.ValidationError as wrong:
        told = [f"{error.pointer or 'the whole'} {error.detail}" for error in misfits(cls, given)]
        raise WrongSetting(f"{option} {file}: {'; '.join(told) or wrong}") from wrong
