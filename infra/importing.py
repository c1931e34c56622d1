"""`logistics import`: riders, vehicles, outlets and tasks from a CSV file. A second import changes nothing."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import batched
from pathlib import Path
from time import sleep
from typing import Any, Literal

import httpx
import msgspec

from gateway.batch import MOST
from gateway.tokens import Tokens
from infra.csv_commands import Json, Line, lines_of
from infra.endpoints import NotRunning, running
from infra.settings import WrongSetting, load_settings, with_secrets

FAILED = 1
TOKEN_LASTS_S = 86_400
AGAIN_AFTER_S = 1.0
TRIES = 30
"""Of commands that nobody could judge, and of a gateway that does not answer."""
LATER = frozenset({429, 503})
TOLD_AT_MOST = 100
"""Lines that something is wrong with; all of them with --json."""

type Outcome = Literal["created", "unchanged", "refused", "invalid", "unanswered", "fits"]


class Done(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    line: int
    outcome: Outcome
    id: str | None = None
    why: str | None = None


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each line."""

    counts: dict[str, int]
    lines: list[Done]


def import_csv(
    kind: str,
    path: Path,
    tenant: str,
    source: str,
    url: str | None,
    token: str | None,
    data: Path | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """The exit code: whether every line is in. Where one does not fit nothing is sent.

    Raises WrongSetting, NotRunning.
    """
    lines = lines_of(kind, path, source)
    invalid = [Done(line=line.number, outcome="invalid", why=line.wrong) for line in lines if line.wrong]
    if invalid or dry_run:
        fits = [Done(line=line.number, outcome="fits") for line in lines if line.body is not None]
        tell(sorted([*invalid, *fits], key=lambda done: done.line), as_json, sent=False)
        return FAILED if invalid else 0
    place, word = door_of(url, token, tenant, data)
    with httpx.Client(base_url=place, headers={"authorization": f"Bearer {word}"}, timeout=60) as client:
        done = list(sent(client, f"/v1/{tenant}/commands:batch", kind, lines))
    tell(done, as_json, sent=True)
    return 0 if all(each.outcome in ("created", "unchanged") for each in done) else FAILED


def door_of(url: str | None, token: str | None, tenant: str, data: Path | None) -> tuple[str, str]:
    """Where it goes, and with which token: what runs on this data, unless something else is named."""
    settings = with_secrets(load_settings(data=data))
    if url is None:
        endpoints = running(settings.data)
        if endpoints is None:
            raise NotRunning(f"nothing runs on {settings.data}: start it, or name a gateway by --url and --token")
        url = endpoints.http
    if token is None:
        try:
            key = bytes.fromhex(settings.token_key.get_secret_value())
            token = Tokens(key).issue(tenant, "integrator", "import", TOKEN_LASTS_S)
        except ValueError as wrong:
            raise WrongSetting(f"--tenant {tenant}: {wrong}") from wrong
    return url, token


def sent(client: httpx.Client, path: str, kind: str, lines: Sequence[Line]) -> Iterator[Done]:
    for together in batched(lines, MOST, strict=False):
        yield from batch(client, path, kind, list(together))


def batch(client: httpx.Client, path: str, kind: str, lines: list[Line]) -> list[Done]:
    """What nobody could judge is sent again, and only that."""
    done: dict[int, Done] = {}
    left = lines
    for _ in range(TRIES):
        results = asked(client, path, [{"command": kind, "body": line.body} for line in left])
        done |= {line.number: done_of(line, result) for line, result in zip(left, results, strict=False)}
        left = [line for line in left if line.number not in done or done[line.number].outcome == "unanswered"]
        if not left:
            break
        sleep(AGAIN_AFTER_S)
    return [done.get(line.number) or unanswered(line, "the gateway does not answer") for line in lines]


def asked(client: httpx.Client, path: str, commands: list[Json]) -> list[Json]:
    """A result each; none where the gateway does not answer. Raises WrongSetting where it takes no batch from us."""
    try:
        answer = client.post(path, json={"commands": commands})
    except httpx.TransportError:
        return []
    if answer.status_code in LATER or answer.status_code >= 500:
        return []
    told: Any = answer.json()
    if answer.status_code != 200:
        raise WrongSetting(f"{answer.request.url}: {answer.status_code} {told.get('code')}: {told.get('detail')}")
    results: list[Json] = told["results"]
    return results


def done_of(line: Line, result: Json) -> Done:
    body = result["body"]
    if result["status"] in (200, 201):
        return Done(line=line.number, outcome="unchanged" if body["repeated"] else "created", id=body["id"])
    why = "; ".join([f"{body['code']}: {body['detail']}", *map(error, body.get("errors", ()))])
    if result["status"] in LATER:
        return unanswered(line, why)
    return Done(line=line.number, outcome="refused", why=why)


def error(told: Json) -> str:
    return f"{told['pointer'].strip('/').replace('/', '.')}: {told['detail']}"


def unanswered(line: Line, why: str) -> Done:
    return Done(line=line.number, outcome="unanswered", why=why)


def tell(done: Sequence[Done], as_json: bool, *, sent: bool) -> None:
    counts = Counter[str](each.outcome for each in done)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(Import(counts=dict(counts), lines=list(done)))).decode())
        return
    wrong = [each for each in done if each.why is not None]
    for each in wrong[:TOLD_AT_MOST]:
        print(f"line {each.line}: {each.outcome}: {each.why}", file=sys.stderr)
    if len(wrong) > TOLD_AT_MOST:
        print(f"and {len(wrong) - TOLD_AT_MOST:,} lines more; all of them with --json", file=sys.stderr)
    said = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(counts.items())) or "none"
    print(f"{len(done):,} lines: {said}" + ("" if sent else "; nothing was sent"))
