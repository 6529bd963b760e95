"""What software sends to have a letter made: about nobody, by nobody, and complete."""

from base64 import b64encode

PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n<pdfaid:part>1</pdfaid:part>\n%%EOF\n"
PATIENT = {
    "ins": "2540575114042",
    "ins_oid": "1.2.250.1.213.1.4.10",
    "birth_name": "PATIENT-FICTIF",
    "given_names": "CAMILLE JEANNE",
    "birth_date": "1954-05-14",
    "sex": "F",
    "birth_place": "75114",
}
AUTHOR = {
    "rpps": "99000000010",
    "family": "ESSAI",
    "given": "Claire",
    "suffix": "DR",
    "specialty": {"code": "G15_10/SM04"},
    "organization": {
        "finess": "750000002",
        "name": "Centre hospitalier ESSAI",
        "sector": "SA01",
    },
}


def a_letter_request(*recipients: str) -> dict[str, object]:
    """Ask for the shortest letter from a mailbox that belongs to no person: one report as a PDF."""
    report = {
        "type": "11488-4",
        "authors": [AUTHOR],
        "file": {"content": b64encode(PDF).decode()},
    }
    return {"to": list(recipients), "patient": PATIENT, "documents": [report]}
