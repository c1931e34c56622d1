"""What msgspec says of a value that does not fit, in our words: those that a JSON schema's errors are told in."""

import re

KINDS = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "datetime": "time",
    "array": "array",
    "object": "object",
    "null": "null",
}
COUNTED = {"str": "characters", "array": "items", "object": "entries"}
MOMENT = "must be a time of RFC 3339 with its offset, such as 2026-03-01T12:00:00Z"
BOUNDS = {"<=": "at most", ">=": "at least", "<": "less than", ">": "more than"}
FORMS: tuple[tuple[str, str], ...] = (
    (r"Expected `(?P<kind>\w+)` of length (?P<bound><=|>=) (?P<limit>\d+)", "must have {bound} {limit} {counted}"),
    (r"Expected `(?P<kind>\w+)` of length (?P<limit>\d+)", "must have {limit} {counted}"),
    (r"Expected `\w+` (?P<bound><=|>=|<|>) (?P<limit>\S+)", "must be {bound} {limit}"),
    (r"Expected `str` matching regex '(?P<limit>.*)'", "must match {limit}"),
    (r"Expected `datetime` with a timezone component|Invalid RFC3339 encoded datetime", MOMENT),
    (r"Expected `(?P<kinds>[^`]+)`, got `\w+`", "must be of type {kinds}"),
    (r"Expected `(?P<kinds>[^`]+)`", "must be of type {kinds}"),
    (r"Object missing required field `(?P<limit>[^`]+)`", "{limit} is required"),
    (r"Object contains unknown field `(?P<limit>[^`]+)`", "{limit} is not known here"),
    (r"Invalid (?:enum )?value (?P<limit>.*)", "cannot be {limit}"),
    (r"(?:Number|Integer value) out of range", "is too large a number"),
)


def in_our_words(said: str) -> str:
    """`said` without its place."""
    for form, words in FORMS:
        if found := re.fullmatch(form, said, re.DOTALL):
            told = {name: text for name, text in found.groupdict().items() if text is not None}
            kinds = (KINDS.get(each, "object") for each in told.get("kinds", "").split(" | "))
            return words.format(
                bound=BOUNDS.get(told.get("bound", ""), ""),
                limit=whole(told.get("limit", "")),
                counted=COUNTED.get(told.get("kind", ""), "items"),
                kinds=" or ".join(kinds),
            )
    return "is not valid"


def whole(limit: str) -> str:
    """90.0 is 90."""
    return limit.removesuffix(".0")
