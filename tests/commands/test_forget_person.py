"""Who is to be forgotten is named once, by what the tenant itself calls them; the fact does not say who it was."""

from msgspec.structs import replace
from story import Story, nothing_yet

from commands.refusals import TooMany
from commands.tenant import MAX_FORGETTING, ForgettingAnswered, OnePersonToForget
from schemas.directory import CreateTenant
from schemas.ids import contact_subject
from schemas.message import NotInThisState, SubjectId
from schemas.person import CloseForgetting, ConfirmForgetting, ForgetPerson, PersonForgotten


def created() -> Story:
    return nothing_yet("tenant").when(CreateTenant(tenant="acme", name="Acme")).happened()


def test_a_contact_is_forgotten_by_the_tenants_own_reference():
    told = PersonForgotten(number=1, subject=contact_subject("acme", "CUST-17"), reason_code="person_asked")
    story = created().when(ForgetPerson(contact="CUST-17", reason_code="person_asked")).happened()
    story.when(ForgetPerson(contact="CUST-17", reason_code="person_asked")).then(replace(told, number=2))


def test_anybody_else_is_by_the_id_that_sealed_data_name():
    told = PersonForgotten(number=1, subject=SubjectId("rider-1"), reason_code="left")
    created().when(ForgetPerson(subject="rider-1", reason_code="left")).then(told)


def test_nobody_and_two_at_once_are_refused():
    created().when(ForgetPerson(reason_code="left")).refuses(OnePersonToForget)
    created().when(ForgetPerson(contact="CUST-17", subject="rider-1", reason_code="left")).refuses(OnePersonToForget)


def test_a_tenant_that_is_not_there_has_nobody():
    nothing_yet("tenant").when(ForgetPerson(contact="CUST-17", reason_code="left")).refuses(NotInThisState)


def test_keys_are_thrown_away_once_and_never_again():
    story = created().when(ForgetPerson(contact="CUST-17", reason_code="person_asked")).happened()
    story.when(ConfirmForgetting(number=1)).then()
    done = story.when(CloseForgetting(number=1)).tells("PersonKeysDropped").happened()
    done.when(CloseForgetting(number=1)).then()
    assert done.when(ConfirmForgetting(number=1)).refuses(ForgettingAnswered).values() == {"number": 1}


def test_so_many_wait_and_no_more():
    story = created()
    for number in range(MAX_FORGETTING):
        story = story.when(ForgetPerson(contact=f"CUST-{number}", reason_code="left")).happened()
    story.when(ForgetPerson(contact="CUST-X", reason_code="left")).refuses(TooMany)
    story = story.when(CloseForgetting(number=1)).happened()
    story.when(ForgetPerson(contact="CUST-X", reason_code="left")).tells("PersonForgotten")
