"""Letters whose documents were uploaded before."""

from typing import Any

import pytest

from tests.integration.drafts.conftest import Serving
from tests.support.factories import LAB, WARD
from tests.support.uploading import TUS, uploaded

LETTERS = f"/v1/mailboxes/{WARD}/letters"
PDF = b"%PDF-1.4\n<pdfaid:part>1</pdfaid:part>\n%%EOF\n"
AUTHOR: dict[str, Any] = {
    "rpps": "99000000010",
    "family": "ESSAI",
    "organization": {"finess": "750000002", "name": "Cabinet", "sector": "SA07"},
}


def letter(file: dict[str, str]) -> dict[str, Any]:
    """A letter with one document."""
    return {
        "to": [LAB],
        "patient": {
            "birth_name": "INCONNU",
            "local_ids": [{"root": "1.2.3", "extension": "42"}],
        },
        "documents": [{"type": "11488-4", "authors": [AUTHOR], "file": file}],
    }


async def test_a_document_is_taken_from_an_upload_once(serving: Serving) -> None:
    """A preview leaves it; sending takes it; asking again with the key is answered the same."""
    upload = await uploaded(serving.ward, PDF, filename="cr.pdf", filetype="application/pdf")
    wanted, key = letter({"upload": upload}), {"Idempotency-Key": "k"}

    looked = await serving.ward.post(LETTERS, json=wanted, params={"check": "true"})
    sent = await serving.ward.post(LETTERS, json=wanted, headers=key)
    again = await serving.ward.post(LETTERS, json=wanted, headers=key)
    other = await serving.ward.post(LETTERS, json=wanted)

    assert looked.status_code == 200, looked.text
    assert looked.json()["documents"][0]["pdf_octets"] == len(PDF)
    assert sent.status_code == 202, sent.text
    assert again.json()["id"] == sent.json()["id"]
    assert other.status_code == 404
    assert (await serving.ward.head(f"/v1/uploads/{upload}", headers=TUS)).status_code == 404


@pytest.mark.parametrize("beside", [{"part": "x"}, {"content": "QQ=="}])
async def test_a_file_is_in_one_place(serving: Serving, beside: dict[str, str]) -> None:
    """Named twice, nobody knows which is meant."""
    upload = await uploaded(serving.ward, PDF)

    answer = await serving.ward.post(LETTERS, json=letter({"upload": upload, **beside}))

    assert answer.status_code == 422
    assert answer.json()["findings"][0]["code"] == "letter-file-name"


async def test_the_upload_of_another_is_no_document(serving: Serving) -> None:
    """To the letter it does not exist."""
    upload = await uploaded(serving.lab, PDF)

    assert (await serving.ward.post(LETTERS, json=letter({"upload": upload}))).status_code == 404
