"""Tracking as a page for people: readable as it comes, and kept up to date by a small script of its own."""

from html import escape
from pathlib import Path

from gateway.call import Call
from gateway.console_page import GUARDS, served, street_tile, tile_of
from gateway.door import Door
from gateway.problem_kinds import KINDS
from gateway.problems import Problem, TenantNotKnown, not_found
from gateway.reply import Reply
from gateway.tracking import UNSEEN, PublicTracking
from gateway.tracking_told import RiderPlace, Tracking
from gateway.tracking_words import Said, Step, said
from streams.routing.tiles import tile_at

FILES = Path(__file__).with_name("track")
HTML = [(b"content-type", b"text/html; charset=utf-8"), *UNSEEN, *(guard for guard in GUARDS if guard not in UNSEEN)]
STREETS_ZOOM = 14
"""Of the tiles under the map: the nearest that its script asks for."""

FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>{title}</title>
<link rel="icon" href="/console/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/track/files/track.css">
{head}</head>
<body>
<main data-phase="{phase}">
{body}
</main>
</body>
</html>
"""
LIVE_HEAD = """<script type="module" src="/track/files/track.js"></script>
<noscript><meta http-equiv="refresh" content="60"></noscript>
"""
BODY = """<div data-part="notes">{notes}</div>
<p class="from">Delivery from <strong>{outlet}</strong></p>
<div class="now" data-part="now" role="status">
<h1>{headline}</h1>
{lines}
</div>
{map}
<h2>Steps</h2>
<ol class="steps" data-part="steps">
{steps}
</ol>
<p class="small">Code <strong>{code}</strong>, for when you call. Times are those of {zone}.
<span data-part="as-of">As of {as_of}.</span></p>"""
TEST_NOTE = '<p class="note">This is a test: nothing is really on its way.</p>'
MAP = """<figure class="map" id="map" data-token="{token}"{place} hidden>
<canvas id="streets" role="img" aria-label="Map around the rider"></canvas>
<figcaption><span data-part="near">{near}</span> <span>Streets © OpenStreetMap contributors</span></figcaption>
</figure>"""
"""The script draws it, and shows it then."""

TROUBLE = {
    "not-found": (
        "There is no delivery here",
        "This link leads to no delivery, or to one that is long over. Please ask who sent it to you for a new one.",
    ),
    "rate-limited": ("A moment, please", "This page was asked for too often. Please load it again in a little while."),
}
ELSE = ("We cannot tell just now", "Please load this page again in a little while.")


class TrackingPage:
    def __init__(self, door: Door, tracking: PublicTracking) -> None:
        self._door = door
        self._tracking = tracking

    async def page(self, call: Call) -> Reply:
        """What goes wrong is told on a page, too."""
        try:
            known = await self._tracking.told(call)
        except TenantNotKnown:
            raise
        except Problem as problem:
            return trouble(problem)
        return Reply(200, page_of(known, said(known, self._door.clock()), call.param("token")).encode(), HTML)

    async def tile(self, call: Call) -> Reply:
        """The streets around the rider, for whom the rider's place is shown, and no others. Raises Problem."""
        z, x, y = tile_of(call)
        rider = (await self._tracking.told(call)).rider
        if rider is None or not is_near(rider, z, x, y):
            raise not_found()
        return await street_tile(self._door.streets, z, x, y)

    async def file(self, call: Call) -> Reply:
        return served(call, FILES, call.param("file"))


def is_near(rider: RiderPlace, z: int, x: int, y: int) -> bool:
    """Whether the map around the place may reach into the tile."""
    if z != STREETS_ZOOM:
        return False
    there_x, there_y = tile_at(rider.lat, rider.lon, z)
    return abs(x - there_x) <= 1 and abs(y - there_y) <= 1


def page_of(known: Tracking, words: Said, token: str) -> str:
    body = BODY.format(
        notes="" if known.live else TEST_NOTE,
        outlet=escape(known.outlet),
        headline=escape(words.headline),
        lines="\n".join(line for line in lines_of(words)),
        map=map_of(known.rider, words, token),
        steps="\n".join(item(each) for each in words.steps),
        code=escape(known.tracking_code),
        zone=escape(known.zone),
        as_of=escape(words.as_of),
    )
    title = f"{words.headline} - {known.outlet}"
    head = "" if words.over else LIVE_HEAD
    return FRAME.format(title=escape(title), head=head, phase=known.phase, body=body)


def lines_of(words: Said) -> list[str]:
    lines = (("expected", words.expected), ("about", words.about), ("promised", words.promised))
    return [f'<p class="{name}">{escape(line)}</p>' for name, line in lines if line]


def map_of(rider: RiderPlace | None, words: Said, token: str) -> str:
    place = "" if rider is None else f' data-lat="{rider.lat}" data-lon="{rider.lon}"'
    return MAP.format(token=escape(token), place=place, near=escape(words.near))


def item(step: Step) -> str:
    at = f"<span>{escape(step.at)}</span>" if step.at else ""
    state, word = ("done", "") if step.done else ("open", '<span class="unseen"> (still to come)</span>')
    return f'<li class="{state}"><span>{escape(step.name)}{word}</span>{at}</li>'


def trouble(problem: Problem) -> Reply:
    title, line = TROUBLE.get(problem.code, ELSE)
    kind = KINDS[problem.code]
    body = f'<div class="now"><h1>{escape(title)}</h1>\n<p class="about">{escape(line)}</p></div>'
    page = FRAME.format(title=escape(title), head="", phase="none", body=body)
    again = [(b"retry-after", b"%d" % (problem.retry_after_s or 1))] if kind.retryable else []
    return Reply(kind.status, page.encode(), [*HTML, *again])
