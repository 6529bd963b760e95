from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection

from directory.codes import code_lists, speciality_words
from directory.errors import CursorExpiredError, CursorSyntaxError
from directory.folding import fold, order_key
from directory.model import MailboxEntry
from directory.search import MatchClass, SearchQuery, prefer
from directory.search_index.folder import IndexFolder
from tests.unit.directory.conftest import (
    ANNE,
    ANNE_ADDRESS,
    WARD_ADDRESS,
    a_mailbox,
    search,
)


def names(connection: Connection, query: SearchQuery) -> list[str]:
    """Return the names on the page, without those of the crowd around them."""
    ours = {"Dr Anne ESSAI-LEROUX", "Dr Hélène LE GOFF", "Dr Paul MARTIN", "Dr Martin PAUL"}
    ours |= {"Dr Zoé DUPONT", "CARDIOLOGIE - CH DEMO"}
    shown = [hit.display_name for hit in search(connection, query).hits]
    return [name for name in shown if name in ours]


@pytest.mark.parametrize(
    "text",
    [
        "essai-leroux",
        "ESSAI LEROUX",
        "essai leroux anne",
        "anne essai-leroux",
        "leroux",
        "essaileroux",
        "essai-ler",
        "leroux a",
        "leroux anne",
        "essai-leroux lyon",
        "leroux 69003",
        "leroux généraliste",
        "leroux médecin lyon",
        "leroux tilleuls",
        "anne  essai\u2019leroux",
        "99000000010",
        "990 0000 0010",
        "899000000010",
        ANNE_ADDRESS,
        ANNE_ADDRESS.upper(),
        "anne.essai-leroux@cab",
        "a.essai-leroux@second-demo.mssante.fr",
        "essai-lreoux anne",
        "esai leroux anne",
        "essai leroux lyonn",
    ],
)
def test_the_one_box_finds_a_person(filled: Connection, text: str) -> None:
    """However the name, the number, the address or the town is typed."""
    assert names(filled, SearchQuery(text=text))[:1] == ["Dr Anne ESSAI-LEROUX"]


@pytest.mark.parametrize(
    "text",
    ["le goff", "legoff", "goff", "LE GOFF hélène", "helene legoff", "cardiologue lyon goff"],
)
def test_particles_and_accents_do_not_count(filled: Connection, text: str) -> None:
    """`LE GOFF` is typed with and without the space."""
    assert names(filled, SearchQuery(text=text)) == ["Dr Hélène LE GOFF"]


def test_a_person_is_one_line_with_the_other_mailboxes_below(filled: Connection) -> None:
    """The national file repeats a person on each row."""
    hit = search(filled, SearchQuery(text="essai-leroux")).hits[0]

    assert hit.match is MatchClass.EXACT
    assert hit.practitioner is not None
    assert hit.practitioner.roles == ANNE.roles
    assert hit.mailbox is not None
    assert hit.mailbox.address.key == ANNE_ADDRESS
    assert [other.address.local for other in hit.others] == ["a.essai-leroux"]
    assert hit.organization is not None
    assert hit.organization.address.city == "Lyon 3e Arrondissement"


def test_a_ward_is_found_by_service_and_hospital(filled: Connection) -> None:
    """A search by names only never shows the secretariat of a hospital."""
    query = SearchQuery(text="cardiologie ch demo", mailbox_kind="ORG")
    (hit,) = search(filled, query).hits

    assert hit.practitioner is None
    assert hit.mailbox is not None
    assert hit.mailbox.address.key == WARD_ADDRESS
    assert hit.organization is not None
    assert hit.organization.finess == "750000002"


def test_a_structure_is_found_by_its_number(filled: Connection) -> None:
    """Software knows structures by FINESS."""
    found = names(filled, SearchQuery(text="750000002"))

    assert set(found) == {"CARDIOLOGIE - CH DEMO", "Dr Paul MARTIN"}


def test_either_order_of_the_names_is_as_good(filled: Connection) -> None:
    """Nobody can tell which of two first names is the family name."""
    query = SearchQuery(text="martin paul")

    assert set(names(filled, query)) == {"Dr Paul MARTIN", "Dr Martin PAUL"}


def test_names_in_the_wrong_fields_are_found_after_nothing_else(filled: Connection) -> None:
    """The form has a field for each, and people mix them up."""
    right = SearchQuery(family="essai-leroux", given="anne")
    wrong = SearchQuery(family="anne", given="essai-leroux")

    assert search(filled, right).hits[0].match is MatchClass.EXACT
    assert search(filled, wrong).hits[0].match is MatchClass.SWAPPED
    assert names(filled, wrong) == ["Dr Anne ESSAI-LEROUX"]


def test_fields_keep_the_names_apart(filled: Connection) -> None:
    """With fields, Paul Martin is not Martin Paul."""
    assert names(filled, SearchQuery(family="martin", given="paul")) == ["Dr Paul MARTIN"]


def test_a_mistyped_word_is_marked_as_a_guess(filled: Connection) -> None:
    """The reader must see that the line is not what was typed."""
    hit = search(filled, SearchQuery(text="essai lreoux anne")).hits[0]

    assert hit.display_name == "Dr Anne ESSAI-LEROUX"
    assert hit.match is MatchClass.APPROXIMATE


@pytest.mark.parametrize(
    "query",
    [
        SearchQuery(family="leroux", speciality="general-practice"),
        SearchQuery(family="leroux", speciality="sm54"),
        SearchQuery(family="leroux", profession="10"),
        SearchQuery(family="leroux", department="69"),
        SearchQuery(family="leroux", city="lyon"),
        SearchQuery(family="leroux", postcode="690"),
        SearchQuery(family="leroux", organization="cabinet"),
        SearchQuery(family="leroux", street="12 rue des tilleuls"),
        SearchQuery(family="leroux", mailbox_kind="per"),
        SearchQuery(family="leroux", with_mailbox=True),
        SearchQuery(text="leroux", city="lyon", speciality="general-practice"),
    ],
)
def test_each_field_of_the_form_narrows(filled: Connection, query: SearchQuery) -> None:
    """The fields are those that the national requirement lists."""
    assert names(filled, query) == ["Dr Anne ESSAI-LEROUX"]


@pytest.mark.parametrize(
    "query",
    [
        SearchQuery(family="leroux", speciality="cardiology"),
        SearchQuery(family="leroux", profession="60"),
        SearchQuery(family="leroux", department="75"),
        SearchQuery(family="leroux", mailbox_kind="ORG"),
        SearchQuery(text="zoe dupont", with_mailbox=True),
        SearchQuery(text="99000000051", with_mailbox=True),
        SearchQuery(text=""),
        SearchQuery(text="  -'. "),
        SearchQuery(text="%"),
        SearchQuery(text="_____"),
        SearchQuery(text="zzzzzzzz"),
        SearchQuery(text="99999999999"),
        SearchQuery(text="nobody@nowhere.mssante.fr"),
        SearchQuery(text="@"),
        SearchQuery(text="a\x00@b"),
        SearchQuery(text="\ud800 ' OR 1=1 --"),
        SearchQuery(text="x " * 10_000),
        SearchQuery(mailbox_kind="ORG"),
        SearchQuery(with_mailbox=True),
        SearchQuery(department="%' OR 1=1"),
    ],
    ids=range(20),
)
def test_what_does_not_match_finds_nobody_of_ours(filled: Connection, query: SearchQuery) -> None:
    """No wildcard, no dump of everything, no error for any text."""
    assert names(filled, query) == []


def test_somebody_without_a_mailbox_is_shown_as_such(filled: Connection) -> None:
    """The reader learns that the person exists and cannot be written to."""
    hit = search(filled, SearchQuery(text="zoe dupont")).hits[0]

    assert hit.display_name == "Dr Zoé DUPONT"
    assert hit.mailbox is None


def test_pages_follow_each_other_without_loss(filled: Connection) -> None:
    """Each line once, in the order of the whole."""
    whole = search(filled, SearchQuery(profession="10", limit=100))
    first = search(filled, SearchQuery(profession="10", limit=4))
    second = search(filled, SearchQuery(profession="10", limit=4, cursor=first.next_cursor))

    assert whole.total == first.total > 8
    assert whole.total_is_exact
    assert (*first.hits, *second.hits) == whole.hits[:8]
    assert whole.next_cursor is None


@pytest.mark.parametrize(
    "cursor", ["", "x", "1", "1.-2", "1.2.3", "1." + "9" * 50, "\u0661.\u0662"]
)
def test_a_made_up_cursor_is_refused(filled: Connection, cursor: str) -> None:
    """Cursors come back from the outside."""
    with pytest.raises(CursorSyntaxError):
        search(filled, SearchQuery(text="a", cursor=cursor))


def test_a_cursor_of_another_directory_has_expired(filled: Connection) -> None:
    """Its second page would skip and repeat people."""
    with pytest.raises(CursorExpiredError):
        search(filled, SearchQuery(text="a", cursor="999.0-0.20"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Élodie d'Œuvre-Saint-Étienne", ("elodie", "d", "oeuvre", "st", "etienne")),
        ("L\u2019Haÿ-les-Roses", ("l", "hay", "les", "roses")),
        ("ŁØÞ ﬁ ①", ("loth", "fi", "1")),
        ("SAINTPERRIN Sainte-Marie", ("stperrin", "ste", "marie")),
        ("日本", ()),
        ("a" * 100, ("a" * 40,)),
    ],
)
def test_words_are_folded_to_ascii(text: str, words: tuple[str, ...]) -> None:
    """Range scans and LIKE rely on it."""
    assert fold(text) == words


def test_names_sort_by_their_folded_form() -> None:
    """É stands with E."""
    assert order_key("ÉTIENNE-D'ARC") == "etienne d arc"


def test_the_ranked_mailbox_is_preferred() -> None:
    """Rank 1 is the carrier's own choice; a personal one comes before a shared one."""
    shared = a_mailbox("a@x.fr", kind="CAB")
    personal = a_mailbox("b@x.fr")
    chosen: MailboxEntry = replace(shared, rank=1)
    hidden = replace(personal, liste_rouge=True)

    assert prefer([shared, personal, hidden, chosen]) == [chosen, personal, shared]


def test_the_code_lists_are_whole() -> None:
    """Each group refers to codes that exist, and the usual words lead to them."""
    lists = code_lists()

    assert lists.professions["10"] == "Médecin"
    assert lists.specialities["SM04"] == "Cardiologie et maladies vasculaires"
    assert lists.groups["cardiology"].codes >= {"SM04", "SM73"}
    assert all(group.codes <= set(lists.specialities) for group in lists.groups.values())
    assert set(lists.profession_words) == set(lists.professions)
    assert "généraliste" in speciality_words("SM54")
    assert speciality_words("XX99") == ()


def test_the_index_of_people_who_vanished_is_removed(tmp_path: Path) -> None:
    """Whoever is withdrawn for safety is in no file of ours either."""
    for number in (1, 2, 3, 4):
        IndexFolder(tmp_path, number).path.mkdir()
    IndexFolder(tmp_path, 3).remove_older(keep=[2])

    assert [IndexFolder(tmp_path, n).is_complete for n in (1, 2, 3, 4)] == [False, True, True, True]


@pytest.mark.parametrize(
    ("text", "match"),
    [("esai-leroux anne", MatchClass.SOUND), ("essai-lxroux anne", MatchClass.APPROXIMATE)],
)
def test_a_guess_says_what_kind_of_guess_it_is(
    filled: Connection, text: str, match: MatchClass
) -> None:
    """What sounds alike is a better guess than what only looks alike."""
    hit = search(filled, SearchQuery(text=text)).hits[0]

    assert (hit.display_name, hit.match) == ("Dr Anne ESSAI-LEROUX", match)
