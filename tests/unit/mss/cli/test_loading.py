"""What a process loads is what it needs: memory is paid for by every process of an operator."""

import subprocess
import sys

import pytest

# Frameworks of other parts: HTTP, migrations, object storage, drawing PDF.
OTHERS = ("fastapi", "starlette", "uvicorn", "alembic", "mako", "obstore", "reportlab")
LOADED = f"import mss.cli.serve, sys; print(*(set({OTHERS!r}) & set(sys.modules)))"


@pytest.mark.slow
def test_a_mail_door_loads_no_framework_of_other_parts() -> None:
    """They are 35 MB of the resident set."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == ""
