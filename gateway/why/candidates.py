"""Who could have done it and who comes first for what, and what shut out the others: in words."""

from collections import Counter
from collections.abc import Mapping, Sequence

from gateway.why.named import Row, capital, name, words

CANDIDATES_TOLD = 3
EXCLUSIONS = {
    "not_approved": "nobody has approved them",
    "suspended": "by a dispatcher",
    "off_shift": "not at work",
    "shift_ends_too_soon": "their shift ends too soon",
    "on_break": "they take a break",
    "silent": "nothing is heard of them",
    "incident_open": "an incident that they are in is open",
    "hours_exhausted": "their hours of service do not suffice",
    "document_missing": "a document is missing",
    "document_expired": "a document has expired",
    "document_expires_too_soon": "a document expires before it would be done",
    "vehicle_grounded": "their vehicle is grounded",
    "vehicle_inspection_failed": "their vehicle has failed its inspection",
    "vehicle_document_missing": "a document of their vehicle is missing",
    "vehicle_document_expired": "a document of their vehicle has expired",
    "vehicle_document_expires_too_soon": "a document of their vehicle expires before it would be done",
    "vehicle_maintenance_overdue": "their vehicle's maintenance is overdue",
    "skill_missing": "a skill is missing",
    "outside_zones": "a stop lies outside their zones",
    "over_capacity": "the load is too much for them",
    "too_many_tasks": "busy with other tasks",
    "reserved_elsewhere": "asked for another task",
    "no_fix": "nobody knows where they are",
    "stale_fix": "not heard of for too long",
    "declined_before": "had declined it, or let it pass",
    "unreachable": "no way leads there",
    "vehicle_kind": "it is not done by what they go by",
    "declines_too_often": "they have declined too much lately",
    "rated_too_low": "they are rated too low",
    "too_far": "they are too far away",
    "travel_too_long": "they would be there too late",
    "detour_too_long": "it is too much of a detour",
    "would_be_late": "something would be late",
    "ride_too_long": "goods would be under way for too long",
}
OVERLOADS = {
    "weight_g": "the load is too heavy for them",
    "volume_cm3": "the load is too bulky for them",
    "parcels": "the load is too many parcels for them",
}


PARTS = {
    "travel": ("travel_s", " s of travel"),
    "detour": ("detour_s", " s of detour"),
    "lateness": ("lateness_s", " s of lateness"),
    "balance": ("tasks", " tasks"),
    "cost": ("cost", " of cost"),
    "rating": ("rating_below_5", " points of rating"),
}
"""What each weight is of, and how that is told."""


def candidates_told(decision: Row, called: Mapping[str, str]) -> list[str]:
    """Who could do it, the best first, and what decides between the first two."""
    candidates = sorted(decision["candidates"], key=lambda each: each["rank"])
    others = decision.get("others") or {}
    behind, not_looked_at = len(others.get("rider_ids", [])), others.get("more", 0)
    if decision.get("in_window") is None:  # those behind are estimated
        behind, not_looked_at = 0, behind + not_looked_at
    able = len(candidates) + behind
    shut_out = len(decision["excluded"]) + sum((decision.get("more_excluded") or {}).values())
    known = able + not_looked_at + shut_out
    rest = f" {not_looked_at} more seem farther off, and were not looked at closely." if not_looked_at else ""
    if not candidates:
        return [f"none of the {known} riders could take it.{rest}" if known else "there was no rider to ask."]
    best = [candidate_told(each, called) for each in candidates[:CANDIDATES_TOLD]]
    more = f"; and {able - len(best)} more" if able > len(best) else ""
    word = "nearest" if candidates[0].get("parts") is None else "best"
    told = [f"{able} of {known} riders could take it. The {word}: {'; '.join(best)}{more}.{rest}"]
    return [*told, *first_of_two(candidates[:2], decision.get("weights"), called)]


def candidate_told(candidate: Row, called: Mapping[str, str]) -> str:
    told = f"{name(candidate['rider_id'], called)}, {travel(candidate)}"
    parts = candidate.get("parts")
    if parts is None:
        return told
    with_more = [f"{round(parts[part])} s {word}" for part, word in ADDED.items() if parts[part] >= 1]
    return f"{told}{''.join(f', {each}' for each in with_more)}: score {round(candidate['score'])}"


ADDED = {"detour_s": "of detour", "lateness_s": "late"}


def travel(candidate: Row) -> str:
    guess = ", as the crow flies" if candidate["source"] == "great_circle" else ""
    return f"{round(candidate['travel_s'])} s away ({round(candidate['distance_m'])} m{guess})"


def first_of_two(two: Sequence[Row], weights: Row | None, called: Mapping[str, str]) -> list[str]:
    """What speaks for the first against the second, and what does not."""
    if len(two) < 2 or weights is None or two[0].get("parts") is None:
        return []
    first, second = two
    ahead = round(second["score"] - first["score"])
    who = f"{capital(name(first['rider_id'], called))} comes before {name(second['rider_id'], called)}"
    if first["score"] == second["score"]:
        return [f"{who} by their id alone: their scores are the same."]
    sums = {
        word: weights[weight] * (second["parts"][part] - first["parts"][part]) for weight, (part, word) in PARTS.items()
    }
    speaks = [f"{round(gain)} for less{after(word)}" for word, gain in sums.items() if gain >= 0.5]
    against = [f"{round(-gain)} for more{after(word)}" for word, gain in sums.items() if gain <= -0.5]
    but = f", though {', '.join(against)} against it" if against else ""
    return [f"{who} by {ahead}: {', '.join(speaks)}{but}."] if speaks else [f"{who} by less than 1."]


def after(word: str) -> str:
    """Without what it is counted in."""
    return " " + word.removeprefix(" s of ").removeprefix(" of ").removeprefix(" points of ").strip()


def excluded_told(decision: Row) -> list[str]:
    """The rules that shut the others out, with how many each."""
    counts = Counter((each["code"], measure_of(each)) for each in decision["excluded"])
    for code, more in (decision.get("more_excluded") or {}).items():
        counts[code, ""] += more
    if not counts:
        return []
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    reasons = [f"{count} {code} ({excluded_for(code, measure)})" for (code, measure), count in ordered]
    return [f"Not considered: {', '.join(reasons)}."]


def measure_of(excluded: Row) -> str:
    """Of what there would be too much, where that is why."""
    overload = excluded.get("overload")
    return overload["measure"] if overload else ""


def excluded_for(code: str, measure: str) -> str:
    return OVERLOADS.get(measure) or EXCLUSIONS.get(code) or words(code)
