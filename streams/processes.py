"""All processes: what runs, and what is rehearsed when the log is checked (I9)."""

from streams.carriers import CARRIERS
from streams.cloning import CLONING
from streams.dispatch.hand_over import hand_over
from streams.dispatch.itinerary import itinerary
from streams.dispatch.tendering import Decide, Lookup, tendering
from streams.dispatch.windowing import TendersOf, windowing
from streams.forgetting import Forget, forgetting
from streams.incident_response import RESPONSE
from streams.planning.committing import committing
from streams.process import Process, Send
from streams.recurring import RECURRING
from streams.simulation import SIMULATION
from streams.taken_away import TAKEN_AWAY
from streams.vehicle_fitness import VEHICLE_FITNESS
from streams.waiting import WAITING


def every_process(lookup: Lookup, decide: Decide, tenders_of: TendersOf, send: Send, forget: Forget) -> list[Process]:
    return [
        Process("dispatch", [*tendering(lookup, decide), *itinerary(lookup), *hand_over(lookup)], send),
        Process("windows", windowing(tenders_of), send),
        Process("carriers", CARRIERS, send),
        Process("cloning", CLONING, send),
        Process("incident-response", RESPONSE, send),
        Process("planning", committing(lookup), send),
        Process("recurring", RECURRING, send),
        Process("simulation", SIMULATION, send),
        Process("taken-away", TAKEN_AWAY, send),
        Process("vehicle-fitness", VEHICLE_FITNESS, send),
        Process("forgetting", forgetting(send, forget), send),
        Process("waiting", WAITING, send),
    ]
