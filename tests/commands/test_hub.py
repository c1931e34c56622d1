"""Hubs: where goods change hands or wait."""

import pytest
from story import KAMPPI, given, nothing_yet, policy

from commands.context import UnknownHub
from schemas.geo import Location
from schemas.hub import (
    CloseHub,
    CreateHub,
    HubClosed,
    HubCreated,
    HubMoved,
    HubReopened,
    MoveHub,
    ReopenHub,
)
from schemas.message import Command, HubSlug, NotInThisState
from schemas.zones import UnknownZone

ELSEWHERE = Location(lat=60.2, lon=25)
CREATE = CreateHub(
    hub="north", name="North", location=KAMPPI, zone="Europe/Helsinki", address="1 Way", metadata={"a": "b"}
)
CREATED = HubCreated(
    hub=HubSlug("north"),
    name="North",
    location=KAMPPI,
    zone="Europe/Helsinki",
    address="1 Way",
    metadata={"a": "b"},
)


def test_a_hub_is_created_once():
    nothing_yet("hub").when(CREATE).then(CREATED)
    given(CREATED).when(CREATE).refuses(NotInThisState)


def test_a_hub_has_a_known_time_zone():
    nowhere = CreateHub(hub="north", name="North", location=KAMPPI, zone="Europe/Atlantis")
    refused = nothing_yet("hub").when(nowhere).refuses(UnknownZone)
    assert refused.values() == {"zone": "Europe/Atlantis"}


def test_a_hub_moves_and_to_where_it_is_it_does_not_move():
    given(CREATED).when(MoveHub(location=ELSEWHERE)).then(HubMoved(location=ELSEWHERE, address=None))
    given(CREATED).when(MoveHub(location=KAMPPI, address="1 Way")).then()
    given(CREATED, HubMoved(location=ELSEWHERE, address=None)).when(MoveHub(location=ELSEWHERE)).then()


def test_a_hub_closes_and_opens_again_and_a_repeat_changes_nothing():
    given(CREATED).when(ReopenHub()).then()
    given(CREATED).when(CloseHub()).then(HubClosed())
    given(CREATED, HubClosed()).when(CloseHub()).then()
    given(CREATED, HubClosed()).when(ReopenHub()).then(HubReopened())
    given(CREATED, HubClosed(), HubReopened()).when(ReopenHub()).then()


def test_a_closed_hub_that_moves_stays_closed():
    moved = given(CREATED, HubClosed(), HubMoved(location=ELSEWHERE, address=None))
    moved.when(CloseHub()).then()
    moved.when(ReopenHub()).then(HubReopened())


@pytest.mark.parametrize("command", [MoveHub(location=KAMPPI), CloseHub(), ReopenHub()])
def test_nothing_happens_to_a_hub_that_is_not_there(command: Command):
    nothing_yet("hub").when(command).refuses(NotInThisState)


def test_a_hub_that_the_tenant_has_not_is_refused_by_name():
    with pytest.raises(UnknownHub) as refused:
        policy().hub("nowhere")
    assert refused.value.values() == {"hub": "nowhere"}
