"""Which carriers could have done it and for how much, and what shut out the others: in words."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from gateway.why.named import Row, name_of_carrier, words

CANDIDATES_TOLD = 3
NAMES_TOLD = 5
EXCLUSIONS = {
    "not_named": "the step names others",
    "contract_not_active": "its contract is not in force",
    "not_to_be_told": "it has no channel to be told on",
    "declined_before": "had declined it, or let it pass",
    "gave_it_back": "had it, and gave it back",
    "outlet_not_served": "it does not serve the outlet",
    "postal_code_not_served": "it does not serve a stop's postal code",
    "capability_missing": "it cannot do what the task asks for",
    "service_level_missing": "it has no such service level",
    "kind_not_served": "it does not do tasks of this kind",
    "over_capacity": "the load is too much for it",
    "no_price": "its contract has no price",
    "currency_differs": "it is paid in another currency",
    "too_dear": "it asks for more than is paid",
}


def is_about_carriers(decision: Row) -> bool:
    return bool(decision.get("carriers") or decision.get("carriers_excluded"))


def carriers_told(decision: Row, called: Mapping[str, str]) -> list[str]:
    """Who could do it, the cheapest first; then the rules that shut the others out, with those whom they did."""
    able: Sequence[Row] = sorted(decision.get("carriers") or [], key=lambda each: each["rank"])
    excluded: Sequence[Row] = decision.get("carriers_excluded") or []
    known = len(able) + len(excluded)
    if not able:
        first = f"none of the {known} carriers could take it."
    else:
        more = f"; and {len(able) - CANDIDATES_TOLD} more" if len(able) > CANDIDATES_TOLD else ""
        best = "; ".join(candidate_told(each, called) for each in able[:CANDIDATES_TOLD])
        first = f"{len(able)} of {known} carriers could take it. The cheapest: {best}{more}."
    return [first, *excluded_told(excluded, called)]


def candidate_told(candidate: Row, called: Mapping[str, str]) -> str:
    terms = candidate["terms"]
    price = "no price of its own" if terms["price"] is None else money(terms["price"])
    return f"{name_of_carrier(candidate['carrier_id'], called)}, {price} ({words(terms['service_level'])})"


def excluded_told(excluded: Sequence[Row], called: Mapping[str, str]) -> list[str]:
    by_code: dict[str, list[Row]] = {}
    for each in excluded:
        by_code.setdefault(each["code"], []).append(each)
    if not by_code:
        return []
    ordered = sorted(by_code.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    return [f"Carriers not considered: {'; '.join(code_told(code, those, called) for code, those in ordered)}."]


def code_told(code: str, those: Sequence[Row], called: Mapping[str, str]) -> str:
    named = ", ".join(excluded_name(each, called) for each in those[:NAMES_TOLD])
    more = f" and {len(those) - NAMES_TOLD} more" if len(those) > NAMES_TOLD else ""
    return f"{len(those)} {code} ({EXCLUSIONS.get(code) or words(code)}): {named}{more}"


def excluded_name(each: Row, called: Mapping[str, str]) -> str:
    price = f" for {money(each['price'])}" if each.get("price") else ""
    return f"{called.get(each['carrier_id'], each['carrier_id'])}{price}"


def money(price: Row) -> str:
    """As of a currency with cents."""
    return f"{Decimal(price['amount_minor']) / 100:.2f} {price['currency']}"
