"""All processes: what runs, and what is rehearsed when the log is checked (I9)."""

from streams.cloning import CLONING
from streams.dispatch.hand_over import hand_over
from streams.dispatch.itinerary import itinerary
from streams.dispatch.tendering import Decide, Lookup, tendering
from streams.forgetting import Forget, forgetting
from streams.incident_response import RESPONSE
from streams.process import Process, Send
from streams.recurring import RECURRING
from streams.suspension import SUSPENSION


def every_process(lookup: Lookup, decide: Decide, send: Send, forget: Forget) -> list[Process]:
    return [
        Process("dispatch", [*tendering(lookup, decide), *itinerary(lookup), *hand_over(lookup)], send),
        Process("cloning", CLONING, send),
        Process("incident-response", RESPONSE, send),
        Process("recurring", RECURRING, send),
        Process("suspension", SUSPENSION, send),
        Process("forgetting", forgetting(forget), send),
    ]
