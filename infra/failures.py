"""How a failure stands in a log line: its type, its code and where in the code it came up.

Never its message and never a frame's variables: both may quote what somebody sent, such as a name and a phone number.
"""

import errno
import re
from collections.abc import Mapping
from typing import Any, TextIO

from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, ExcInfo, WrappedLogger

CODE = re.compile(r"[A-Za-z0-9_-]{1,60}")
"""What a code looks like: ours, or an SQLSTATE. Anything else might be prose."""

framed = ExceptionDictTransformer(show_locals=False)


def named(failed: BaseException) -> str:
    """Such as `UniqueViolation 23505`, `Unavailable shard-closed`, `ConnectionRefusedError ECONNREFUSED`."""
    code = code_of(failed)
    return f"{type(failed).__name__} {code}" if code else type(failed).__name__


def code_of(failed: BaseException) -> str | None:
    if isinstance(failed, OSError) and failed.errno is not None:
        return errno.errorcode.get(failed.errno)
    for name in ("code", "rule", "sqlstate"):
        code = getattr(failed, name, None)
        if isinstance(code, str) and CODE.fullmatch(code):
            return code
    return None


def traced(exc_info: ExcInfo) -> list[dict[str, Any]]:
    """The exception and its causes, each with its frames' file, line and function."""
    stacks = [without_words(stack) for stack in framed(exc_info)]
    stacks[0]["code"] = code_of(exc_info[1])
    return stacks


def without_words(stack: Mapping[str, Any]) -> dict[str, Any]:
    kept = {word: stack[word] for word in ("exc_type", "is_cause", "frames")}
    if stack["is_group"]:
        kept["exceptions"] = [[without_words(each) for each in one] for one in stack["exceptions"]]
    return kept


def print_traced(out: TextIO, exc_info: ExcInfo) -> None:
    """For people: as `traced`."""
    for stack in traced(exc_info):
        print_stack(out, stack, "")


def print_stack(out: TextIO, stack: Mapping[str, Any], indent: str) -> None:
    out.write(f"\n{indent}{stack['exc_type']} {stack.get('code') or ''}".rstrip())
    for frame in stack["frames"]:
        out.write(f'\n{indent}  File "{frame["filename"]}", line {frame["lineno"]}, in {frame["name"]}')
    for one in stack.get("exceptions", ()):
        for each in one:
            print_stack(out, each, indent + "  | ")


def name_failures(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A processor: what is logged as an exception object is written as its name."""
    for word, value in event.items():
        if isinstance(value, BaseException) and word != "exc_info":
            event[word] = named(value)
    return event


def quote_nothing(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A processor for libraries' lines: beside a traceback stands what they say, without the values they fill in.

    asyncio puts the representation of the task, and with it the exception's message, below its first line.
    """
    if event.get("exc_info"):
        event["event"] = str(event["_record"].msg).partition("\n")[0]
    return event
