"""Whom one asks at an outlet or a hub: told anew as a whole, each sealed for themself."""

import pytest
from msgspec.structs import replace
from story import KAMPPI, Story, nothing_yet

from commands.place_contacts import NotAName
from commands.registries import DuplicateCode
from schemas.directory import CreateOutlet, MoveOutlet, SetOutletContacts
from schemas.geo import Location
from schemas.hub import CloseHub, CreateHub, SetHubContacts
from schemas.ids import contact_subject
from schemas.message import Command, NotInThisState, Personal
from schemas.place_contact import NewPlaceContact, PlaceContact

DEE = NewPlaceContact(duty="desk", name="Dee", phone="+358401234567")
GIL = NewPlaceContact(duty="gate", name="Gil", notes="Ring twice.", reference="staff-7", readers=["operator", "rider"])
HUB = CreateHub(hub="north", name="North", location=KAMPPI, zone="Europe/Helsinki", contacts=[DEE])
OUTLET = CreateOutlet(outlet="kamppi", name="Kamppi", location=KAMPPI, zone="Europe/Helsinki", contacts=[DEE])
SAYS = {"hub": (HUB, SetHubContacts), "outlet": (OUTLET, SetOutletContacts)}


def made(kind: str) -> Story:
    return nothing_yet(kind).when(SAYS[kind][0]).happened()


def says(kind: str, *contacts: NewPlaceContact) -> Command:
    return SAYS[kind][1](contacts=list(contacts))


def kept(story: Story) -> list[PlaceContact]:
    return list(story.state.contacts)


@pytest.mark.parametrize("kind", SAYS)
def test_contacts_are_told_anew_and_the_same_are_no_news(kind: str):
    assert [contact.duty for contact in kept(made(kind))] == ["desk"]
    made(kind).when(says(kind, DEE)).then()
    both = made(kind).when(says(kind, DEE, GIL)).happened()
    assert [contact.duty for contact in kept(both)] == ["desk", "gate"]
    both.when(says(kind, DEE, GIL)).then()
    assert kept(both.when(says(kind)).happened()) == []


@pytest.mark.parametrize("kind", SAYS)
def test_each_has_a_duty_of_their_own(kind: str):
    made(kind).when(says(kind, DEE, replace(GIL, duty="desk"))).refuses(DuplicateCode)


@pytest.mark.parametrize("kind", SAYS)
def test_at_a_place_that_is_not_there_nobody_is_asked(kind: str):
    nothing_yet(kind).when(says(kind, DEE)).refuses(NotInThisState)


def test_a_person_is_sealed_for_themself_by_the_callers_reference_or_by_place_and_duty():
    [dee, gil] = kept(made("hub").when(says("hub", DEE, GIL)).happened())
    assert dee.name == Personal(contact_subject("acme", "a-1/desk"), "Dee")
    assert gil.notes == Personal(contact_subject("acme", "staff-7"), "Ring twice.")


def test_a_contact_is_read_by_those_who_are_named_and_without_any_by_all_who_read_contacts():
    [dee, gil] = kept(made("hub").when(says("hub", DEE, GIL)).happened())
    assert dee.readers == ["integrator", "dispatcher", "operator", "rider"]
    assert gil.readers == ["operator", "rider"]


@pytest.mark.parametrize("read_as", ["hidden", "erased"])
def test_who_is_told_again_as_they_were_read_stays_who_they_are(read_as: str):
    """A caller who may not read somebody cannot put that word in place of the name."""
    story = made("hub").when(says("hub", DEE, GIL)).happened()
    [_, gil] = kept(story)
    as_read = NewPlaceContact(duty="gate", name=read_as, phone=read_as, readers=["operator"])
    story.when(says("hub", DEE, as_read)).then()
    story.when(says("hub", as_read)).happened()
    assert kept(story) == [gil]
    story.when(says("hub", replace(as_read, duty="night"))).refuses(NotAName)
    nothing_yet("hub").when(replace(HUB, contacts=[as_read])).refuses(NotAName)


def test_who_was_forgotten_and_is_told_again_is_remembered_again():
    story = made("hub")
    dee = kept(story)[0]
    gone = replace(dee, name=Personal(dee.name.subject, None, b"sealed", "PlaceContact.name"), phone=None)
    story.state = replace(story.state, contacts=[gone])
    story.when(says("hub", replace(DEE, phone=None))).tells("HubContactsSet")


def test_a_place_that_moves_or_closes_keeps_its_contacts():
    moved = made("outlet").when(MoveOutlet(location=Location(lat=60.2, lon=25))).happened()
    closed = made("hub").when(CloseHub()).happened()
    assert [contact.duty for story in (moved, closed) for contact in kept(story)] == ["desk", "desk"]
    closed.when(says("hub", GIL)).tells("HubContactsSet")
