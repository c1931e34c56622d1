"""Who is to be forgotten is named once, by what the tenant itself calls them; the fact does not say who it was."""

from story import nothing_yet

from commands.tenant import OnePersonToForget
from schemas.directory import CreateTenant
from schemas.ids import contact_subject
from schemas.message import NotInThisState, SubjectId
from schemas.person import ForgetPerson, PersonForgotten

CREATED = nothing_yet("tenant").when(CreateTenant(tenant="acme", name="Acme")).happened()


def test_a_contact_is_forgotten_by_the_tenants_own_reference():
    told = PersonForgotten(subject=contact_subject("acme", "CUST-17"), reason_code="person_asked")
    story = CREATED.when(ForgetPerson(contact="CUST-17", reason_code="person_asked")).happened()
    story.when(ForgetPerson(contact="CUST-17", reason_code="person_asked")).then(told)


def test_anybody_else_is_by_the_id_that_sealed_data_name():
    told = PersonForgotten(subject=SubjectId("rider-1"), reason_code="left")
    CREATED.when(ForgetPerson(subject="rider-1", reason_code="left")).then(told)


def test_nobody_and_two_at_once_are_refused():
    CREATED.when(ForgetPerson(reason_code="left")).refuses(OnePersonToForget)
    CREATED.when(ForgetPerson(contact="CUST-17", subject="rider-1", reason_code="left")).refuses(OnePersonToForget)


def test_a_tenant_that_is_not_there_has_nobody():
    nothing_yet("tenant").when(ForgetPerson(contact="CUST-17", reason_code="left")).refuses(NotInThisState)
