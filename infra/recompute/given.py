"""A file that a command line names."""

from pathlib import Path

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
