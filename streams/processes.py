"""All processes: what runs, and what is rehearsed when the log is checked (I9)."""

from streams.dispatch.hand_over import hand_over
from streams.dispatch.itinerary import itinerary
from streams.dispatch.tendering import Decide, Lookup, tendering
from streams.forgetting import Forget, forgetting
from streams.incident_response import RESPONSE
from streams.process import Process, Send
from streams.suspension import SUSPENSION
from streams.waiting import WAITING


def every_process(lookup: Lookup, decide: Decide, send: Send, forget: Forget) -> list[Process]:
    return [
        Process("dispatch", [*tendering(lookup, decide), *itinerary(lookup), *hand_over(lookup)], send),
        Process("incident-response", RESPONSE, send),
        Process("suspension", SUSPENSION, send),
        Process("forgetting", forgetting(forget), send),
        Process("waiting", WAITING, send),
    ]
