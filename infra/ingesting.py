"""`logistics ingest`: fixes from GPX and CSV files, through the gateway as a device would send them."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import sleep
from typing import Any

import httpx
import msgspec

from gateway.parameters import ID
from infra.fix_files import COLUMNS, Columns, FixLine, NotThatFile, fixes_in
from infra.importing import FAILED, LATER, TOLD_AT_MOST, TRIES, door_of
from infra.settings import WrongSetting
from schemas.fixes import MAX_BATCH, NewFix

LONGEST_WAIT_S = 60.0

type Json = dict[str, Any]


class WrongLine(msgspec.Struct, frozen=True):
    line: int
    why: str


class Report(msgspec.Struct, kw_only=True):
    """What became of one file's fixes. Where a line of it is wrong, or the whole, none of it is sent."""

    file: str
    fixes: int = 0
    sent: int = 0
    """On the log, with a rider."""
    off_duty: int = 0
    """Dropped: the rider was off duty then."""
    unbound: int = 0
    """On the log, and put aside: nobody held the device then, or another rider than whose token it is."""
    refused: int = 0
    why: str | None = None
    wrong: list[WrongLine] = []
    unread: Sequence[str] = ()
    passed_over: int = 0
    """Points of a line on streets, beside the fixes of an exported trip."""


def ingest(
    files: Sequence[Path],
    tenant: str,
    device: str | None,
    columns: Sequence[str],
    url: str | None,
    token: str | None,
    data: Path | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """The exit code: whether every fix was taken. Raises WrongSetting, NotRunning."""
    named = columns_of(columns)
    if device is not None and not ID.fullmatch(device):
        raise WrongSetting(f"--device {device}: it is no device's id")
    read = [read_file(each, device, named) for each in files]
    reports = [report for report, _ in read]
    try:
        if not dry_run and any(lines for _, lines in read):
            place, word = door_of(url, token, tenant, data)
            with httpx.Client(base_url=place, headers={"authorization": f"Bearer {word}"}, timeout=60) as client:
                for report, lines in read:
                    send(client, f"/v1/{tenant}/fixes", lines, report)
    finally:
        tell(reports, as_json, sent=not dry_run)
    return FAILED if any(report.refused or report.why or report.off_duty or report.unbound for report in reports) else 0


def columns_of(given: Sequence[str]) -> Columns:
    """Raises WrongSetting."""
    named = {}
    for each in given:
        ours, equals, theirs = each.partition("=")
        if ours not in COLUMNS or not equals or not theirs:
            raise WrongSetting(f"--column {each}: it is one of {', '.join(COLUMNS)}, then = and the file's own name")
        named[ours] = theirs
    return named


def read_file(path: Path, device: str | None, columns: Columns) -> tuple[Report, list[FixLine]]:
    """None of its lines where one is wrong. Raises WrongSetting."""
    report = Report(file=str(path))
    try:
        found = fixes_in(path, device, columns)
    except NotThatFile as wrong:
        report.why = str(wrong)
        return report, []
    report.fixes, report.unread, report.passed_over = len(found.lines), found.unread, found.passed_over
    report.wrong = [WrongLine(line.number, line.wrong) for line in found.lines if line.wrong is not None]
    report.refused = len(report.wrong)
    if not found.lines:
        report.why = "there is no fix in it"
    return report, [] if report.wrong else found.lines


def send(client: httpx.Client, path: str, lines: Sequence[FixLine], report: Report) -> None:
    """Raises WrongSetting where the gateway takes no fixes from us."""
    for device, fixes in batches(lines):
        answer = asked(client, path, msgspec.json.encode({"device_id": device, "fixes": fixes}))
        if isinstance(answer, str):
            report.refused += len(fixes)
            report.why = answer
            continue
        report.sent += answer["accepted"]
        report.off_duty += answer["off_duty"]
        report.unbound += answer["unbound"]


def batches(lines: Sequence[FixLine]) -> Iterator[tuple[str, list[NewFix]]]:
    """Of each device in order of time: what comes much later than its newer ones would be outdated."""
    of_devices: dict[str, list[NewFix]] = {}
    for line in lines:
        assert line.fix is not None, "the lines are right"
        of_devices.setdefault(line.device_id, []).append(line.fix)
    for device, fixes in of_devices.items():
        fixes.sort(key=lambda fix: fix.observed_at)
        for start in range(0, len(fixes), MAX_BATCH):
            yield device, fixes[start : start + MAX_BATCH]


def asked(client: httpx.Client, path: str, body: bytes) -> Json | str:
    """The answer, or why there is none. Raises WrongSetting where we are not let in."""
    why = "the gateway does not answer"
    for _ in range(TRIES):
        wait_s = 1.0
        try:
            answer = client.post(path, content=body, headers={"content-type": "application/json"})
        except httpx.TransportError as failed:
            why = f"the gateway does not answer: {failed}"
        else:
            told: Json = answer.json()
            if answer.status_code == 202:
                return told
            why = f"{told.get('code')}: {told.get('detail')}"
            if answer.status_code in (401, 403, 404):
                raise WrongSetting(f"{answer.request.url}: {answer.status_code} {why}")
            if answer.status_code not in LATER and answer.status_code < 500:
                return why
            wait_s = float(answer.headers.get("retry-after", wait_s))
        sleep(min(LONGEST_WAIT_S, wait_s))
    return why


def tell(reports: Sequence[Report], as_json: bool, *, sent: bool) -> None:
    if as_json:
        print(msgspec.json.format(msgspec.json.encode({"files": reports})).decode())
        return
    for report in reports:
        for each in report.wrong[:TOLD_AT_MOST]:
            print(f"{report.file}, line {each.line}: {each.why}", file=sys.stderr)
        if len(report.wrong) > TOLD_AT_MOST:
            print(f"{report.file}: and {len(report.wrong) - TOLD_AT_MOST:,} lines more", file=sys.stderr)
        if report.why:
            print(f"{report.file}: {report.why}", file=sys.stderr)
        print(f"{report.file}: {counted(report, sent)}")


def counted(report: Report, sent: bool) -> str:
    said = f"{report.fixes:,} fixes"
    if not sent or report.wrong:
        wrong = f", {len(report.wrong):,} of them wrong" if report.wrong else ""
        said += f"{wrong}; nothing was sent"
    else:
        said += f": {report.sent:,} sent, {report.off_duty:,} off duty, {report.unbound:,} unbound"
        said += f", {report.refused:,} refused"
    if report.passed_over:
        said += f" ({report.passed_over:,} points of lines on streets passed over)"
    return said + (f" (columns passed over: {', '.join(report.unread)})" if report.unread else "")
