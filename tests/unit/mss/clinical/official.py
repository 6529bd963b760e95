"""Find the official examples, which stay outside the repository; a test without them is skipped."""

from pathlib import Path

import pytest

DATA = Path(__file__).parents[5] / "shared" / "data"

ARCHIVES = (
    "BIO-CR-BIO_2021.01_Auto-Presentable",
    "BIO-CR-BIO_2024.01_Microbiologie_V2",
    "BIO-CR-BIO_2024.01_TSH_1",
    "CANCER-FRCP_2025.01_Appareil",
    "CANCER-PPS_2025.01",
    "DLU-FT-SU_2025.01",
    "IMG_CR_IMG_2024.01",
    "IMG_CR_IMG_2024.01_CDA-R2-Niveau-1",
    "LDL-SES_2022.01",
    "VSM_1.4_2022.01",
    "eP-MED-DM_2024.01_PosoStruct",
)


def official(path: str) -> bytes:
    """Read an official example, or skip the test."""
    return official_path(path).read_bytes()


def official_path(path: str) -> Path:
    """Find an official example, or skip the test."""
    found = DATA / path
    if not found.exists():
        pytest.skip(f"official test data are not here: {path}")
    return found


def archive(name: str) -> bytes:
    """Read one of the official archives."""
    return official(f"xdm/{name}/IHE_XDM.ZIP")


def document(name: str) -> bytes:
    """Read the document of one of the official examples."""
    return official(f"cda/{name}/DOC0001.XML")
