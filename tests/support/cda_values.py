"""Invent headers of documents for property tests: everything that a header may hold, at random."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from mss.clinical import vocabulary
from mss.clinical.document import (
    Act,
    CdaHeader,
    Consent,
    Encounter,
    Informant,
    Order,
    Participant,
    RelatedDocument,
)
from mss.clinical.patient import Guardian, Patient, Traits
from mss.clinical.people import (
    NULL_FLAVORS,
    Actor,
    Address,
    Code,
    Device,
    Identifier,
    Organization,
    Period,
    PersonName,
    Telecom,
)
from mss.clinical.times import HL7Time

# What XML keeps as it is: no control character, and no blank at an end or beside another.
words = st.from_regex(r"\A[!-~À-ÿœ€<&]{1,6}( [!-~À-ÿœ€<&]{1,6})?\Z")
empty_or_words = st.just("") | words
oids = st.from_regex(r"\A[0-2](\.[1-9][0-9]{0,4}){1,5}\Z")
identifiers = st.builds(Identifier, oids, st.none() | words, empty_or_words)
symbols = st.from_regex(r"\A[!-~]{1,6}\Z")
codes = st.builds(
    Code, symbols, oids, empty_or_words, text=empty_or_words, reference=st.just("") | st.just("#r1")
)
uncoded = st.builds(Code, st.just(""), missing=st.sampled_from(sorted(NULL_FLAVORS)), text=words)
free_codes = codes | uncoded
missing = st.sampled_from(sorted(NULL_FLAVORS - {"NASK", "UNK"}))
times = st.datetimes(
    min_value=datetime(1900, 1, 1),  # noqa: DTZ001 -- hypothesis adds the zone
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(HL7Time.of)
periods = st.builds(Period, start=times, stop=st.none() | times) | st.builds(
    Period, missing=missing
)
addresses = st.builds(
    Address,
    house_number=empty_or_words,
    street=empty_or_words,
    city=words,
    country=empty_or_words,
    use=st.just("") | st.just("H"),
    free_lines=st.lists(words, max_size=2).map(tuple),
    others=st.lists(st.tuples(st.just("additionalLocator"), words), max_size=1).map(tuple),
) | st.builds(Address, missing=missing)
telecoms = st.lists(
    st.builds(Telecom, value=st.from_regex(r"\Atel:[0-9]{2,12}\Z"), use=st.just("WP")), max_size=2
).map(tuple)
names = st.builds(
    PersonName, family=words, given=empty_or_words, prefix=empty_or_words, suffix=empty_or_words
)


def few(values: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    """None, one or two of something."""
    return st.lists(values, max_size=2).map(tuple)


organizations = st.builds(
    Organization,
    name=words,
    id=identifiers,
    other_ids=few(identifiers),
    telecoms=telecoms,
    address=st.none() | addresses,
    practice_setting=st.none() | codes,
    part_of=st.none() | st.builds(Organization, name=words),
)
# The schema gives whoever keeps a document one number and one address.
custodians = st.builds(
    Organization, name=words, id=identifiers, telecoms=telecoms.map(lambda found: found[:1])
)


def actors(**more: st.SearchStrategy[object]) -> st.SearchStrategy[Actor]:
    """Somebody with a number who works somewhere."""
    return st.builds(
        Actor,
        **{
            "id": identifiers,
            "other_ids": few(identifiers),
            "name": names,
            "specialty": st.none() | codes,
            "telecoms": telecoms,
            "address": st.none() | addresses,
            "organization": st.none() | organizations,
            **more,
        },
    )


signers = actors(at=times, templates=few(st.builds(Identifier, oids)))
authors = actors(at=times, role=st.none() | free_codes) | st.builds(
    Actor, id=identifiers, at=times, device=st.builds(Device, software=words, model=words)
)
performers = actors(
    during=st.none() | periods, part=st.just("") | st.just("SPRF"), role=st.none() | free_codes
)
recipients = st.builds(
    Actor, id=st.none() | identifiers, name=names, organization=st.none() | organizations
)
near = st.builds(Actor, name=names, specialty=st.none() | free_codes, telecoms=telecoms)
informants = st.builds(
    Informant, class_code=st.sampled_from(["ECON", "NOK", "CON", "CAREGIVER", "PAT"]), actor=near
) | st.builds(Informant, actor=actors())
participants = st.builds(
    Participant,
    type_code=st.just("INF"),
    class_code=st.just("PROV"),
    actor=actors(role=st.none() | free_codes, during=st.none() | periods),
)
patients = st.builds(
    Patient,
    identifiers=st.lists(identifiers, min_size=1, max_size=3).map(tuple),
    traits=st.builds(
        Traits,
        birth_name=words,
        first_given=empty_or_words,
        all_given=empty_or_words,
        used_name=empty_or_words,
        used_given=empty_or_words,
        birth_date=st.none() | times,
        sex=st.sampled_from(["M", "F", "UN", ""]),
        birth_place=st.just("") | st.just("2A004"),
        birth_city=empty_or_words,
        other_names=few(st.tuples(st.just("family"), st.just("SP"), words)),
    ),
    addresses=few(addresses),
    telecoms=telecoms,
    guardians=few(st.builds(Guardian, name=names, addresses=few(addresses), telecoms=telecoms)),
    provider=st.none() | organizations,
)
acts = st.builds(
    Act,
    code=st.none() | codes,
    ids=few(identifiers),
    templates=few(st.builds(Identifier, oids)),
    status=st.just("") | st.just("completed"),
    start=times,
    stop=st.none() | times,
    performer=performers,
    other_performers=few(performers),
)
encounters = st.builds(
    Encounter,
    ids=few(identifiers),
    code=st.none() | codes,
    start=st.none() | times,
    discharge=st.none() | codes,
    responsible=st.none() | actors(),
    participants=few(actors(at=times, part=st.just("ATND"))),
    facility=codes,
    facility_id=st.none() | identifiers,
    facility_name=empty_or_words,
    facility_address=st.none() | addresses,
    provider=st.none() | organizations,
)
setting = st.builds(
    Organization, name=words, id=identifiers, practice_setting=st.just(Code("AMO", "1.2.3"))
)
main_acts = st.builds(Act, start=times, performer=actors(organization=setting))

headers = st.builds(
    CdaHeader,
    id=st.builds(Identifier, oids),
    set_id=identifiers,
    version=st.integers(1, 999),
    templates=st.just(
        tuple(Identifier(one) for one in (*vocabulary.FIXED_TEMPLATES, "1.2.250.1.213.1.1.1.29"))
    ),
    code=codes,
    code_translations=few(codes),
    title=words,
    effective_time=times,
    confidentiality=codes,
    language=st.just("fr-FR"),
    patient=patients,
    authors=st.lists(authors, min_size=1, max_size=3).map(tuple),
    data_enterer=st.none() | signers,
    informants=few(informants),
    custodian=custodians,
    recipients=few(recipients),
    legal_authenticator=signers,
    authenticators=few(signers),
    participants=few(participants),
    orders=few(
        st.builds(
            Order,
            ids=st.lists(identifiers, min_size=1, max_size=2).map(tuple),
            code=st.none() | free_codes,
            accession_numbers=few(st.builds(Identifier, oids, words)),
        )
    ),
    acts=st.tuples(main_acts) | st.tuples(main_acts, acts),
    related=few(
        st.builds(
            RelatedDocument,
            type_code=st.just("RPLC"),
            ids=st.tuples(identifiers),
            set_id=st.none() | identifiers,
            version=st.none() | st.integers(1, 99),
        )
    ).map(lambda found: found[:1]),
    consents=few(st.builds(Consent, code=st.none() | free_codes)),
    encounter=encounters,
)
