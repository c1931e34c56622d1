"""All processes: what runs, and what is rehearsed when the log is checked (I9)."""

from streams.carrier_telling import Tell, carrier_telling
from streams.carrier_tenders import carrier_tenders
from streams.carriers import CARRIERS
from streams.cloning import CLONING
from streams.dispatch.hand_over import hand_over
from streams.dispatch.itinerary import itinerary
from streams.dispatch.tendering import Decide, Lookup, deciding, tendering
from streams.dispatch.windowing import TendersOf, windowing
from streams.forgetting import Forget, forgetting
from streams.geocoding import Places, geocoding
from streams.incident_response import RESPONSE
from streams.planning.committing import PlanLookup, committing
from streams.process import Process, Rule, Send
from streams.recurring import RECURRING
from streams.routes import Routes, routes
from streams.simulation import SIMULATION
from streams.taken_away import TAKEN_AWAY
from streams.vehicle_fitness import VEHICLE_FITNESS
from streams.waiting import WAITING


def dispatching(lookup: Lookup) -> list[Rule]:
    return [*tendering(lookup), *carrier_tenders(lookup), *itinerary(lookup), *hand_over(lookup)]


def every_process(
    lookup: PlanLookup,
    decide: Decide,
    tenders_of: TendersOf,
    send: Send,
    forget: Forget,
    tell: Tell,
    places: Places,
    ways: Routes,
) -> list[Process]:
    at_once = processes_at_once(lookup, tenders_of, send, forget, tell)
    return [*at_once, *processes_that_decide(lookup, decide, send), *processes_that_ask(send, places, ways)]


def processes_at_once(
    lookup: PlanLookup, tenders_of: TendersOf, send: Send, forget: Forget, tell: Tell
) -> list[Process]:
    """Those whose facts are through in a moment: nobody outside is waited for."""
    return [
        Process("dispatch", dispatching(lookup), send),
        Process("windows", windowing(tenders_of), send),
        Process("carriers", CARRIERS, send),
        Process("carrier-telling", carrier_telling(tell), send),
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


def processes_that_decide(lookup: Lookup, decide: Decide, send: Send) -> list[Process]:
    """Those whose facts wait for a tenant's routers. They keep no fact of another tenant waiting, and of their own only
    what is to be decided on next."""
    return [Process("deciding", deciding(lookup, decide), send)]


def processes_that_ask(send: Send, places: Places, ways: Routes) -> list[Process]:
    """Those whose facts wait for somebody outside, who may be slow: they keep no other fact waiting."""
    return [Process("geocoding", geocoding(send, places), send), Process("routes", routes(send, ways), send)]
