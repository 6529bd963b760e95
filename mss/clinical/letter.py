"""Say what the mail around health documents needs: subject, headers, names of the PDF copies.

Shapes
    A `Cover` has the subject, the two headers that describe the documents, and one PDF name for
    each document. All values are single printable lines, whatever the documents hold.
Errors
    `ArchiveContentError` for no document at all, or documents about several patients.
Sources
    ANS, Référentiel 2, ECO.2.1.3 (subject), ECO.2.1.6 (PDF name), ECO.2.4.1 (X-MSS-CODECDA),
    ECO.2.4.2 (X-MSS-INS).
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mss.clinical import finding, vocabulary
from mss.clinical.document import CdaHeader
from mss.clinical.finding import Finding
from mss.clinical.mapping import patient_id
from mss.clinical.patient import Patient, Traits
from mss.clinical.times import HL7Time
from mss.clinical.xdm import ArchiveContentError

SUBJECT_PREFIX = "XDM/1.0/DDM+"
CODES_HEADER = "X-MSS-CODECDA"
INS_HEADER = "X-MSS-INS"
LABEL_LENGTH = 40

_NOT_IN_CODES = re.compile(r"[^A-Za-z0-9._-]+")
_NOT_IN_FILE_NAMES = re.compile(r'[\\/:*?"<>|_]+')


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """What a mail says about the documents that it carries."""

    subject: str
    headers: Mapping[str, str]
    pdf_names: tuple[str, ...]


def cover(documents: Sequence[CdaHeader]) -> Cover:
    """Describe a mail that carries these documents, all about one patient.

    Raises:
        ArchiveContentError: There is no document, or more than one patient.
    """
    if not documents:
        raise ArchiveContentError("number-of-documents")
    if len({patient_id(one.patient or Patient()) for one in documents}) > 1:
        raise ArchiveContentError("several-patients")
    return Cover(
        subject=build_subject(documents),
        headers=build_headers(documents),
        pdf_names=_unique([build_pdf_name(one) for one in documents]),
    )


def build_subject(documents: Sequence[CdaHeader]) -> str:
    """Write the subject: prefix, what it is, whom it is about."""
    what = _label(documents[0]) if len(documents) == 1 else f"{len(documents)} documents"
    traits = _traits(documents[0])
    words = (what, _family(traits), _given(traits), _birth_day(traits.birth_date))
    return SUBJECT_PREFIX + " ".join(word for word in words if word)


def build_headers(documents: Sequence[CdaHeader]) -> dict[str, str]:
    """Write the two headers that describe documents; to be sent only with documents."""
    codes = [_NOT_IN_CODES.sub("", one.code.code) for one in documents if one.code]
    is_qualified = all((one.patient or Patient()).is_qualified for one in documents)
    return {CODES_HEADER: ",".join(filter(None, codes)), INS_HEADER: "O" if is_qualified else "N"}


def build_pdf_name(document: CdaHeader, *, file_number: str = "") -> str:
    """Name the PDF copy of a document: day of care, label, birth name, given name, number."""
    act = document.main_act
    day = _day(act.start if act and act.start else document.effective_time)
    traits = _traits(document)
    parts = (day, _label(document), _family(traits), _given(traits), file_number)
    words = (" ".join(_NOT_IN_FILE_NAMES.sub(" ", part).split()) for part in parts)
    return "_".join(word.strip(". ") for word in words if word.strip(". ")) + ".pdf"


def readable_subject(subject: str) -> str:
    """Take the technical prefix off a subject, for people to read."""
    text = subject.strip()
    is_technical = text[: len(SUBJECT_PREFIX)].upper() == SUBJECT_PREFIX
    return text[len(SUBJECT_PREFIX) :].lstrip() if is_technical else subject


def check_cover(
    documents: Sequence[CdaHeader], *, subject: str, headers: Mapping[str, str]
) -> list[Finding]:
    """Compare what a mail says with the documents that it carries; never more than warnings."""
    return list(_differences(documents, subject, {name.upper(): headers[name] for name in headers}))


def _differences(
    documents: Sequence[CdaHeader], subject: str, headers: Mapping[str, str]
) -> Iterator[Finding]:
    if not subject.strip().upper().startswith(SUBJECT_PREFIX):
        yield finding.of("subject-prefix", where="Subject")
    expected = build_headers(documents)
    codes = [code.strip() for code in headers.get(CODES_HEADER, "").split(",")]
    if sorted(codes) != sorted(expected[CODES_HEADER].split(",")):
        yield finding.of("header-codes", name=CODES_HEADER, where=CODES_HEADER)
    if headers.get(INS_HEADER, "").strip().upper() != expected[INS_HEADER]:
        yield finding.of("header-ins", name=INS_HEADER, where=INS_HEADER)


def _traits(document: CdaHeader) -> Traits:
    return (document.patient or Patient()).traits


def _label(document: CdaHeader) -> str:
    return _line(vocabulary.label(document.code))[:LABEL_LENGTH].rstrip()


def _family(traits: Traits) -> str:
    return _plain(traits.birth_name or traits.used_name).upper()


def _given(traits: Traits) -> str:
    return _plain(traits.first_given or traits.used_given)


def _birth_day(time: HL7Time | None) -> str:
    day = _day(time)
    return f"{day[6:8]}/{day[4:6]}/{day[:4]}" if day else ""


def _day(time: HL7Time | None) -> str:
    """The date as the writer's calendar showed it, if it is known to the day."""
    return time.text[:8] if time and time.is_valid and len(time.xds) >= 8 else ""


def _plain(text: str) -> str:
    """Write a name without accents, as the subject wants it."""
    folded = unicodedata.normalize("NFKD", text.replace("œ", "oe").replace("Œ", "OE"))
    return _line("".join(letter for letter in folded if not unicodedata.combining(letter)))


def _line(text: str) -> str:
    kept = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(kept.split())


def _unique(names: list[str]) -> tuple[str, ...]:
    """Number the names that would be equal: two files of one mail must not have one name."""
    made: list[str] = []
    for name in names:
        count = sum(1 for other in names[: len(made)] if other == name)
        made.append(f"{name.removesuffix('.pdf')}_{count + 1}.pdf" if count else name)
    return tuple(made)
