"""Write the two pages of an archive that people may open: INDEX.HTM and README.TXT.

Shapes
    INDEX.HTM is XHTML 1.0 Strict; README.TXT is 7-bit ASCII with CRLF line ends. Both name the
    sender, which is the structure that keeps the first document.
Errors
    None.
Sources
    IHE ITI TF-2, 3.32.4.1; ANS, volet Échange de documents de santé.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from mss.clinical.document import CdaHeader


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """The software named in README.TXT."""

    name: str = "mss"
    version: str = "0.1"
    vendor: str = "mss"


def build_index(header: CdaHeader) -> bytes:
    """Write the page that a browser opens first."""
    name, number = _sender(header)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\r\n'
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" '
        '"http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">\r\n'
        '<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="fr" lang="fr">\r\n'
        "<head><title>Documents de sant&#233;</title></head>\r\n"
        "<body>\r\n"
        f"<p>&#201;metteur : {escape(name)} ({escape(number)})</p>\r\n"
        '<p><a href="README.TXT">README.TXT</a></p>\r\n'
        "</body>\r\n"
        "</html>\r\n"
    ).encode("ascii", "xmlcharrefreplace")


def build_readme(
    header: CdaHeader, documents: Sequence[tuple[str, str]], application: Application
) -> bytes:
    """Write the text that says what this is.

    Args:
        header: The header of the first document.
        documents: Path and title of each.
        application: The software that wrote the archive.
    """
    name, number = _sender(header)
    keeper = header.custodian
    folders = dict.fromkeys(path.rpartition("/")[0] for path, _ in documents)
    lines = [
        "Emetteur",
        f"  Organisation : {name}",
        f"  Identifiant national : {number}",
        *(
            f"  Adresse : {line}"
            for line in (keeper.address.lines if keeper and keeper.address else ())
        ),
        *(f"  Contact : {one.value}" for one in (keeper.telecoms if keeper else ())),
        "Application",
        f"  {application.name} {application.version}, {application.vendor}",
        "Mode d'emploi",
        "  Cette archive contient des documents de sante et leurs metadonnees (profil IHE XDM).",
        "  Un logiciel de professionnel de sante sait la lire ; les memes documents accompagnent",
        "  le message au format PDF.",
        "Contenu",
        "  INDEX.HTM",
        "  README.TXT",
        *(f"  {folder}/METADATA.XML" for folder in folders),
        *(f"  {path} : {title}" for path, title in documents),
    ]
    return "".join(f"{_ascii(line)}\r\n" for line in lines).encode("ascii")


def _sender(header: CdaHeader) -> tuple[str, str]:
    keeper = header.custodian
    number = (keeper.id.extension or keeper.id.root) if keeper and keeper.id else ""
    return (keeper.name if keeper else ""), number


def _ascii(text: str) -> str:
    """Write without accents: the rule for README.TXT is 7-bit text."""
    plain = unicodedata.normalize("NFKD", text.replace("\u2019", "'").replace("œ", "oe"))
    kept = plain.encode("ascii", "ignore").decode("ascii")
    return "".join(letter for letter in kept if letter.isprintable())
