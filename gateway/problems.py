"""What went wrong, as RFC 9457 problems (application/problem+json)."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

import msgspec

from commands.order import Unavailable
from gateway.problem_kinds import KINDS
from gateway.reply import Reply
from schemas.message import Refused

CODE = re.compile(r"`([^`]+)`")
CONTENT_TYPE = b"application/problem+json"


class FieldError(msgspec.Struct, frozen=True):
    """`pointer` is a JSON pointer (RFC 6901) into the body, or the name of a parameter."""

    pointer: str
    detail: str


NOTHING_HERE = "there is nothing at this path"


class ProblemBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An RFC 9457 problem. `type` is a page of this server."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    retryable: bool
    errors: list[FieldError] = []
    values: dict[str, Any] = {}
    version: int | None = None
    state: str | None = None


class Problem(Exception):
    """Raised anywhere behind the door; answered in one place."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        values: Mapping[str, Any] | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
        retry_after_s: int | None = None,
        version: int | None = None,
        state: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.values = dict(values or {})
        self.headers = list(headers)
        self.retry_after_s = retry_after_s
        self.version = version
        self.state = state


class TenantNotKnown(Problem):
    """The directory as this door knows it has no such tenant. One that was created at another door just now it may
    not have heard of: see `edge.Answering`."""

    def __init__(self, tenant: str, *, hidden: bool = False) -> None:
        """`hidden` from who has no business with tenants."""
        if hidden:
            super().__init__("not-found", NOTHING_HERE)
        else:
            super().__init__("unknown-tenant", f"there is no tenant {tenant}", values={"tenant": tenant})


def not_found(what: str = NOTHING_HERE) -> Problem:
    return Problem("not-found", what)


def refusal(refused: Refused) -> Problem:
    """What a rule says, with the rule's values."""
    values: dict[str, Any] = {name: plain(value) for name, value in refused.values().items()}
    actual = values.get("actual")
    return Problem(
        refused.rule,
        str(refused),
        values=values,
        version=actual if refused.rule == "version-conflict" else None,
        state=actual if refused.rule == "not-in-this-state" else None,
    )


def unavailable(nobody: Unavailable) -> Problem:
    code = nobody.code if nobody.code in KINDS else "unavailable"
    return Problem(code, str(nobody), retry_after_s=nobody.retry_after_s)


def plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def answered(problem: Problem, request_id: str) -> Reply:
    kind = KINDS[problem.code]
    body = ProblemBody(
        type=f"/problems/{problem.code}",
        title=kind.title,
        status=kind.status,
        code=problem.code,
        detail=problem.detail,
        request_id=request_id,
        retryable=kind.retryable,
        errors=problem.errors,
        values=problem.values,
        version=problem.version,
        state=problem.state,
    )
    headers = [(b"content-type", CONTENT_TYPE), (b"cache-control", b"no-store"), *problem.headers]
    if kind.retryable:
        headers.append((b"retry-after", b"%d" % (problem.retry_after_s or 1)))
    return Reply(kind.status, msgspec.json.encode(body), headers)


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{code}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}}</style>
<h1>{title}</h1>
<p><code>{code}</code>, status {status}, {retry}.</p>
<p>{remedy}</p>
</html>
"""


def page(code: str) -> Reply:
    """What a problem's `type` leads to. Raises Problem for a code that is not in the table."""
    kind = KINDS.get(code)
    if kind is None:
        raise not_found(f"there is no problem type {code[:100]}")
    retry = "the same request may be sent again" if kind.retryable else "the same request will fail again"
    text = PAGE.format(
        code=escape(code),
        title=escape(kind.title),
        status=kind.status,
        retry=retry,
        remedy=CODE.sub(r"<code>\1</code>", escape(kind.remedy)),
    )
    return Reply(200, text.encode(), [(b"content-type", b"text/html; charset=utf-8")])
