"""Every code of a problem: its status, its title, and what to do about it."""

import msgspec

AGAIN = "Repeat the same request after `Retry-After` seconds."
MAY_HAVE = "It may have taken effect: repeat it with the same key after `Retry-After` seconds, and you get its answer."


class Kind(msgspec.Struct, frozen=True):
    """`retryable`: the same request may succeed later, unchanged."""

    status: int
    title: str
    remedy: str
    retryable: bool = False


KINDS: dict[str, Kind] = {
    # The request itself
    "malformed-json": Kind(400, "The body is not JSON", "Correct the body at the line and column given."),
    "invalid-header": Kind(400, "A header is not valid", "Correct the header that the detail names."),
    "invalid-parameter": Kind(400, "A parameter is not valid", "Correct the parameters that `errors` names."),
    "idempotency-key-missing": Kind(
        400,
        "The command needs an Idempotency-Key",
        "Add the header line that the detail prints; send the same key again when you repeat the request.",
    ),
    "token-missing": Kind(401, "A token is needed", "Send `Authorization: Bearer …`; `logistics token` makes one."),
    "signature-invalid": Kind(
        401,
        "The call back is not signed as it must be",
        "Sign it by Standard Webhooks, with the secret that both know.",
    ),
    "token-invalid": Kind(401, "The token is not valid", "Get a new token: this one is expired or not ours."),
    "forbidden": Kind(403, "The role may not do this", "Use a token of a role that `values.allowed` names."),
    "not-the-assignee": Kind(403, "Another rider has this task", "Only the rider who has the task may do this."),
    "not-your-offer": Kind(403, "The offer was made to somebody else", "Only who was asked may answer."),
    "not-your-booking": Kind(403, "The booking is with another carrier", "Tell only of what you are booked for."),
    "not-involved": Kind(403, "The incident is not yours", "A rider speaks of what they reported, or is about them."),
    "another-rider": Kind(403, "That is another rider", "Leave `rider_id` out: a rider asks and tells of themself."),
    "not-your-vehicle": Kind(
        403,
        "The vehicle is not assigned to you",
        "Only the rider who has the vehicle, or a dispatcher, may report of it.",
    ),
    "link-invalid": Kind(403, "The link is not valid", "Ask for a new one: this one is expired or not ours."),
    "not-found": Kind(404, "There is nothing here", "Check the path, the tenant and the id."),
    "unknown-tenant": Kind(404, "The tenant is not known", "Create it by POST /v1/tenants, or check its slug."),
    "method-not-allowed": Kind(405, "The method is not allowed here", "Use a method that `Allow` names."),
    "cursor-gone": Kind(410, "The cursor is not of this log", "Read the feed from its start, or from a fresh cursor."),
    "fixes-gone": Kind(
        410,
        "The trip's fixes are gone",
        "Read the trip itself: its ends and sums are kept. Export trips while their fixes are, `values.kept_days`.",
    ),
    "version-conflict": Kind(
        412, "The version has changed", "Read the aggregate again and decide anew; then send its new ETag."
    ),
    "body-too-large": Kind(413, "The body is too large", "Send less, in more than one request."),
    "trip-too-large": Kind(
        422, "The trip is too large for a file", "Nothing is to be done: `values.most` is how many are read at most."
    ),
    "too-many-pixels": Kind(413, "The image has too many pixels", "Send a smaller image."),
    "command-too-large": Kind(413, "The command is too large", "Ask for less in one command."),
    "unsupported-media-type": Kind(415, "The body's type is not supported", "Send what the detail asks for."),
    "digest-differs": Kind(422, "The body is not what its name says", "Send the bytes whose SHA-256 the path names."),
    "invalid-body": Kind(422, "The body does not fit", "Correct each place that `errors` names."),
    "rate-limited": Kind(429, "Too many requests", "Wait for `Retry-After` seconds, then go on more slowly.", True),
    "too-many-fixes": Kind(
        429,
        "Too many fixes",
        "Send the same fixes after `Retry-After` seconds. `values.device_id` names the device; else it is the tenant.",
        True,
    ),
    "dry-run-under-way": Kind(
        429, "Another dry run is under way", "Repeat after `Retry-After` seconds: a tenant has one at a time.", True
    ),
    # What a command may meet
    "already-exists": Kind(
        409,
        "The reference was used before, with another request",
        "Read the aggregate that `values.aggregate_id` names, or give a new external_reference.",
    ),
    "not-in-this-state": Kind(409, "Not possible in this state", "Read the aggregate: `values` says what is needed."),
    "goods-in-custody": Kind(409, "A rider has the goods", "Cancel the task instead: the goods then come back."),
    "cannot-reserve": Kind(409, "The rider cannot take it", "`values.code` says why; choose another rider."),
    "cannot-start-shift": Kind(
        409,
        "The rider cannot start a shift",
        "`values.code` says why; of a document that is missing or has expired, `values.document_kind` says which.",
    ),
    "not-reserved": Kind(409, "The reservation is over", "Dispatch the task again."),
    "rest-too-short": Kind(409, "The rider's rest is too short", "Start the shift at `values.rested_at` or later."),
    "goods-aboard": Kind(409, "The rider has goods aboard", "Take the break once they are delivered."),
    "hand-over-answered": Kind(409, "The hand-over was answered already", "Read the task for who has it."),
    "too-many": Kind(409, "There are too many already", "Remove one first."),
    "vehicle-unfit": Kind(409, "The vehicle may not drive", "`values.code` says why; choose another vehicle."),
    "fitness-stated-anew": Kind(409, "It was stated anew", "Go by the vehicle's latest statement."),
    "vehicle-taken": Kind(409, "Another rider has the vehicle", "Release it first, or choose another vehicle."),
    "no-service-level": Kind(409, "The carrier has no service level", "Change its terms first: it needs one."),
    "carrier-not-active": Kind(409, "The carrier cannot be booked", "Activate or reinstate it, or choose another."),
    "quote-expired": Kind(409, "The quote has expired", "Ask the carrier for another."),
    "carrier-booking-answered": Kind(409, "The booking waits for no task", "Read it for how it ended."),
    "task-refused-carrier": Kind(409, "The task refused the carrier", "`values.reason_code` says why: ask another."),
    "task-on-hold": Kind(409, "The task is on hold", "Release it first."),
    "task-with-carrier": Kind(409, "Another carrier has the task", "Cancel that booking first."),
    "task-with-rider": Kind(409, "A rider has the task", "Take it from the rider first."),
    "outlet-not-served": Kind(409, "The carrier does not serve the outlet", "Ask another, or change its terms."),
    "postal-code-not-served": Kind(409, "The carrier does not serve the stop", "Ask another, or change its terms."),
    "currency-not-agreed": Kind(422, "The contract is in other currencies", "Give a price in one of `values.agreed`."),
    "fee-currency-differs": Kind(422, "The fee is in another currency", "Give it in `values.agreed`."),
    "goods-with-carrier": Kind(409, "The carrier has the goods", "Settle the booking once it is known how it ended."),
    "itinerary-changed": Kind(409, "The itinerary has changed", "Read the rider again and send the new order."),
    "not-a-test-tenant": Kind(
        409, "The tenant is live", "Only a tenant of mode test has a clock to advance, and simulated couriers."
    ),
    "forgetting-answered": Kind(409, "The person was forgotten before", "Nothing is left to be done."),
    "simulated-apart": Kind(409, "Simulated work is apart", "Create the task without a `simulation` for a real rider."),
    "simulated-rider": Kind(409, "The rider is simulated", "Nothing is needed: what they do follows by itself."),
    "one-person-to-forget": Kind(
        422,
        "It is not clear who is to be forgotten",
        "Give the reference that tasks name the contact by.",
    ),
    "unknown-person": Kind(
        422,
        "Nobody goes by these ids",
        "Look for a mistyped id; a contact with a reference is forgotten by that, and by nothing else.",
    ),
    "clock-too-far-ahead": Kind(409, "The clock would be too far ahead", "Create another test tenant."),
    "incident-full": Kind(409, "The incident holds no more", "Report another one, and link the two."),
    "actions-outstanding": Kind(
        409, "Its kind asks for more", "Take the actions that `values.actions` names, or waive them."
    ),
    "action-answered": Kind(409, "The action was answered already", "Read the incident for what was done."),
    "highest-level": Kind(409, "Nobody is above that", "It was escalated as far as it goes."),
    "claim-value-missing": Kind(409, "Nothing is claimed yet", "State the claim value: that takes the action."),
    "timeline-missing": Kind(409, "It is sealed with its timeline", "Seal it through the API, which fills that in."),
    "offer-not-pending": Kind(409, "The offer is over", "It was answered, lost, withdrawn or has expired."),
    "bid-needed": Kind(422, "The claim has no bid", "Say in `bid` for how much you would do it."),
    "no-bids": Kind(422, "Nobody bids in this tender", "Leave `bid` out."),
    "bid-in-another-currency": Kind(422, "The bid is in another currency", "Bid in `values.agreed`."),
    "offer-has-expired": Kind(409, "The offer has expired", "Wait for the next one."),
    "pin-attempts-exhausted": Kind(409, "The PIN was wrong too often", "Give another proof, or ask an operator."),
    "idempotency-key-reused": Kind(
        422, "The key was used for another request", "Use a new Idempotency-Key for each new request."
    ),
    "unknown-outlet": Kind(422, "The tenant has no such outlet", "Create the outlet first, or correct its slug."),
    "contact-first": Kind(
        409, "Contact comes first", "Report the attempts at contact, or send an override_reason with it."
    ),
    "wait-first": Kind(
        409, "Waiting comes first", "Report how long you have waited, or send an override_reason with it."
    ),
    "hand-over-incomplete": Kind(422, "Not all of it was scanned", "Scan each parcel of `values.missing`."),
    "hand-over-pending": Kind(409, "It is offered to another rider", "Withdraw that offer first."),
    "not-offered-to-you": Kind(409, "The hand-over is not offered to you", "It was answered, withdrawn or expired."),
    "circular-dependency": Kind(409, "They would wait for each other", "Leave one of the dependencies out."),
    "location-not-sought": Kind(409, "The stop waits for no answer", "Read the task for where its stops are."),
    "route-answered": Kind(409, "The route was answered before", "Read the route."),
    "dependency-answered": Kind(409, "The task waits for that no more", "Read the task for what it waits for."),
    "clone-answered": Kind(409, "The clone was refused", "Clone the task again."),
    "invalid-rule": Kind(422, "The rule cannot be read", "`values.problem` says what is wrong with the RRULE."),
    "nothing-ahead": Kind(422, "The rule has nothing ahead", "Correct the rule, or where it starts."),
    "not-an-occurrence": Kind(422, "Nothing begins then", "Read the recurrence for what comes next."),
    "occurrence-answered": Kind(409, "The occurrence was refused", "Create the task by itself, if it is wanted still."),
    "unknown-occurrence": Kind(
        422, "No such occurrence waits for a review", "Read the exception desk for those that do."
    ),
    "hub-closed": Kind(409, "The hub is closed", "Name another hub, or reopen this one."),
    "not-for-this-kind": Kind(409, "Not for a task of this kind", "`values.needed` is the kind that it is for."),
    "unknown-dependency": Kind(422, "The task does not wait for that", "Read the task for what it waits for."),
    "unknown-item": Kind(422, "The parcel has no such item", "Read the task for what is in its parcels."),
    "unknown-hub": Kind(422, "The tenant has no such hub", "Create the hub first, or correct its slug."),
    "unknown-carrier": Kind(422, "There is no contract with this carrier", "Register it first, or correct its id."),
    "unknown-offer": Kind(422, "There is no such offer", "Answer with the ids that the offer was told with."),
    "answered-too-late": Kind(
        409, "The offer is not to be had any more", "Nothing is to be done: `values.how` says what became of it."
    ),
    "no-counters": Kind(409, "Here carriers bid", "Accept with the price that is wanted."),
    "channel-unusable": Kind(
        422, "The channel's url cannot be used", "Give an http or https address without user, query and fragment."
    ),
    "unknown-service-level": Kind(422, "The carrier has no such service level", "Give a code of `values.known`."),
    "unknown-rider": Kind(422, "There is no such rider", "Register the rider first, or correct the id."),
    "device-taken": Kind(
        409,
        "The device is another rider's",
        "Bind your own, or ask a dispatcher, who may give it to you.",
    ),
    "unknown-anomaly": Kind(
        422, "The rider has no such anomaly", "Read the rider's anomalies for those that there are."
    ),
    "unknown-vehicle": Kind(422, "There is no such vehicle", "Register the vehicle first, or correct the id."),
    "unknown-tender": Kind(422, "There is no such tender", "Correct the id: the tender board has them all."),
    "unknown-incident": Kind(422, "There is no such incident", "Report it first, or correct the id."),
    "unknown-task": Kind(422, "There is no such task", "Create it first, or correct the id that `values` names."),
    "unknown-pick-wave": Kind(422, "There is no such pick wave", "Create it first, or correct the id."),
    "pick-wave-of-another-outlet": Kind(
        409, "The pick wave is of another outlet", "Name a wave of the task's own outlet, `values.task_outlet`."
    ),
    "plan-outdated": Kind(409, "The plan is too old", "Riders are elsewhere by now: ask for another plan."),
    "unknown-stop": Kind(422, "The task has no such stop", "Read the task for its stops."),
    "unknown-parcel": Kind(422, "There is no such parcel", "Read the task for its parcels."),
    "unknown-proof": Kind(422, "The stop has no such proof", "Read the task for its proofs."),
    "unknown-failure-reason": Kind(422, "The failure reason is not known", "Give a code of `values.known`."),
    "unknown-incident-kind": Kind(422, "The kind of incident is not known", "Give a code of `values.known`."),
    "unknown-document-kind": Kind(422, "The kind of document is not known", "Give a code of `values.known`."),
    "not-a-name": Kind(422, "A word that stands for a name", "Tell the name, or leave the contact out."),
    "duplicate-code": Kind(422, "A code is given more than once", "Give each code once."),
    "nothing-promised": Kind(422, "The terms promise nothing", "Give at least one of the three times."),
    "sla-scope-taken": Kind(
        409, "Another policy applies to the same tasks", "Change or remove the one that `values.policy_id` names."
    ),
    "provider-misconfigured": Kind(
        422,
        "A routing provider cannot be asked like that",
        "Correct the one that `values.number` counts, by `values.fault`: see docs/routing.md.",
    ),
    "provider-named-twice": Kind(422, "A routing provider stands there twice", "Leave out one of them."),
    "levels-not-ascending": Kind(422, "The breach levels do not ascend", "Give each level once, the earliest first."),
    "unknown-document": Kind(422, "There is no such document", "Submit the document first."),
    "unknown-maintenance": Kind(422, "No such maintenance is planned", "Read the vehicle for what is planned."),
    "due-missing": Kind(422, "The maintenance has no due", "Give `due_at`, `due_km` or both."),
    "odometer-went-back": Kind(
        422, "The odometer went back", "Read the instrument again: `values` has both readings and none is kept."
    ),
    "unknown-zone": Kind(422, "The time zone is not known", "Give an IANA name, such as Europe/Helsinki."),
    "unknown-service-zone": Kind(
        422, "There is no such zone", "Create a geofence of kind `zone` first, or correct the id that `values` names."
    ),
    "unknown-conflict": Kind(422, "No such report waits for a review", "Read the exception desk for those that do."),
    "unknown-link": Kind(422, "The incident is not linked to that", "Read the incident for its links."),
    "in-the-future": Kind(422, "It has not happened yet", "Correct the time, or the clock of who reports."),
    "parcel-mismatch": Kind(422, "The parcels do not fit the stops", "Correct the parcel that the detail names."),
    "nothing-to-simulate": Kind(422, "The outcome needs what the task lacks", "Add it, or choose another outcome."),
    "stops-mismatch": Kind(422, "The stops do not suit the task", "Correct what the detail says."),
    "too-far-from-stop": Kind(422, "The fix is too far from the stop", "Go nearer, or send an override_reason."),
    "pin-rejected": Kind(
        422,
        "The PIN is wrong",
        "Nothing else was in the report. Read the task for the attempts left, then send another proof.",
    ),
    "invalid-shape": Kind(
        422,
        "The shape is not valid",
        "Correct the place that `errors` points to: the detail says what is wrong with it.",
    ),
    "invalid-calendar": Kind(
        422,
        "The calendar is not valid",
        "Correct the place that `errors` points to: the detail says what is wrong with it.",
    ),
    "so-already": Kind(422, "It is so already", "Leave it, or give what is to be otherwise."),
    "not-an-interval": Kind(422, "The end is not after the start", "Correct the two times."),
    "next-stop-locked": Kind(409, "The next stop is locked", "Keep it first, or take the lock off."),
    "too-heavy-that-way": Kind(
        422, "Too much in that order", "Of `values.measure`: let the rider drop something off before."
    ),
    "out-of-order": Kind(422, "A stop comes after another", "Put `values.stop_id` after `values.after`."),
    "not-that-itinerary": Kind(422, "The order is not that of the itinerary", "Name each stop once."),
    "refused": Kind(409, "A rule says no", "The detail names the rule."),
    # Nobody's fault, or ours
    "internal-error": Kind(
        500,
        "We failed",
        "Repeat the request with the same Idempotency-Key; if it fails again, tell us the request_id.",
        True,
    ),
    "unavailable": Kind(503, "Nobody can judge now", AGAIN, True),
    "shard-not-open": Kind(503, "The shard is not open", AGAIN, True),
    "shard-busy": Kind(503, "The shard is busy", AGAIN, True),
    "shards-unreachable": Kind(503, "The shard's owner did not answer", MAY_HAVE, True),
    "log-unavailable": Kind(503, "The log did not acknowledge in time", MAY_HAVE, True),
    "directory-lagging": Kind(503, "The directory is not up to date", AGAIN, True),
    "aggregate-cold": Kind(503, "What was let go cannot be loaded now", AGAIN, True),
    "answer-unknown": Kind(503, "The answer did not come in time", MAY_HAVE, True),
    "tenant-hydrating": Kind(
        503, "The tenant or its outlet is being looked up", "Ask again; it is known in a moment, or not at all.", True
    ),
    "projection-lagging": Kind(
        503, "The read model is behind", "Repeat the request after `Retry-After` seconds.", True
    ),
    "read-models-unavailable": Kind(503, "The read models cannot be read", AGAIN, True),
    "fixes-unavailable": Kind(503, "The fixes cannot be read now", AGAIN, True),
    "artefacts-unavailable": Kind(503, "The artefacts' store does not answer", AGAIN, True),
    "streets-unavailable": Kind(503, "The streets cannot be drawn", AGAIN, True),
    "too-many-waiters": Kind(503, "Too many requests wait", "Repeat after `Retry-After` seconds.", True),
    "too-many-streams": Kind(503, "Too many streams are open", "Close one, or try again later.", True),
}
