"""Emulators of Google Cloud Storage and Azure Blob Storage, in processes of their own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib.util
import json
import os
import shutil
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, urlencode

import pytest

from tests.support.servers.s3 import running_process

BUCKET = "clips-of-mine"

# The account that every Azurite has; https://learn.microsoft.com/azure/storage/common/storage-use-azurite
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_AZURE_VERSION = "2021-12-02"
_NODE_PACKAGES = Path(__file__).parents[3] / ".ci" / "npm" / "node_modules" / ".bin"


def absent(reason: str) -> NoReturn:
    """Skip for want of a program; in CI, where everything is installed, fail."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


def _send(url: str, method: str, data: bytes | None = None, headers: Mapping[str, str] | None = None) -> None:
    request = urllib.request.Request(url, data=data, method=method, headers=dict(headers or {}))  # noqa: S310 - our own server
    with urllib.request.urlopen(request, timeout=20):  # noqa: S310
        pass


@dataclass(frozen=True)
class GoogleServer:
    """Where the emulator of Google Cloud Storage listens."""

    endpoint: str

    @property
    def config(self) -> dict[str, Any]:
        """What to give `ObjectStoreSource`: a key file that names the server and needs no token."""
        key = {
            "gcs_base_url": self.endpoint,
            "disable_oauth": True,
            "client_email": "",
            "private_key": "",
            "private_key_id": "",
        }
        return {"service_account_key": json.dumps(key)}

    def put(self, key: str, data: bytes) -> str:
        """Store an object and return its URL."""
        query = urlencode({"uploadType": "media", "name": key})
        kind = {"Content-Type": "application/octet-stream"}
        _send(f"{self.endpoint}/upload/storage/v1/b/{BUCKET}/o?{query}", "POST", data, kind)
        return f"gs://{BUCKET}/{key}"


@contextmanager
def google_server() -> Iterator[GoogleServer]:
    """Run gcp-storage-emulator, with one bucket."""
    if importlib.util.find_spec("gcp_storage_emulator") is None:
        absent("gcp-storage-emulator is not installed; the extra test brings it")
    script = Path(__file__).with_name("gcs.py")
    with running_process([sys.executable, str(script), BUCKET], r"emulator on (http://[\d.:]+)") as endpoint:
        yield GoogleServer(endpoint)


@dataclass(frozen=True)
class AzureServer:
    """Where Azurite listens."""

    endpoint: str

    @property
    def config(self) -> dict[str, Any]:
        """What to give `ObjectStoreSource`."""
        return {"endpoint": f"{self.endpoint}/{ACCOUNT}", "account_name": ACCOUNT, "account_key": KEY}

    def make_container(self, name: str, *, public: bool = False) -> None:
        """Make a place for blobs."""
        access = {"x-ms-blob-public-access": "blob"} if public else {}
        self._put(f"/{name}", {"restype": "container"}, b"", access)

    def put(self, key: str, data: bytes, *, container: str = BUCKET) -> str:
        """Store a blob and return its URL."""
        self._put(f"/{container}/{quote(key)}", {}, data, {"x-ms-blob-type": "BlockBlob"})
        return f"az://{container}/{key}"

    def token(self, key: str, *, valid_for: timedelta) -> str:
        """Sign for one blob: a shared access signature that reads it for so long."""
        starts, ends = (
            f"{datetime.now(UTC) + delta:%Y-%m-%dT%H:%M:%SZ}" for delta in (-timedelta(hours=1), valid_for)
        )
        blob = f"/blob/{ACCOUNT}/{BUCKET}/{key}"
        fields = ["r", starts, ends, blob, "", "", "", _AZURE_VERSION, "b", "", "", "", "", "", "", ""]
        query = {"sp": "r", "st": starts, "se": ends, "sv": _AZURE_VERSION, "sr": "b"}
        return urlencode(query | {"sig": _signature("\n".join(fields))})

    def _put(self, path: str, query: Mapping[str, str], data: bytes, extra: Mapping[str, str]) -> None:
        now = format_datetime(datetime.now(UTC), usegmt=True)
        ours = {"x-ms-date": now, "x-ms-version": _AZURE_VERSION, **extra}
        kind = "application/octet-stream"
        lines = ["PUT", "", "", str(len(data) or ""), "", kind, "", "", "", "", "", ""]
        lines += [f"{name}:{value}" for name, value in sorted(ours.items())]
        lines += [f"/{ACCOUNT}/{ACCOUNT}{path}", *(f"{name}:{value}" for name, value in query.items())]
        signed = {"Authorization": f"SharedKey {ACCOUNT}:{_signature(chr(10).join(lines))}"}
        url = f"{self.endpoint}/{ACCOUNT}{path}?{urlencode(query)}"
        _send(url, "PUT", data, ours | signed | {"Content-Type": kind})


def _signature(text: str) -> str:
    return base64.b64encode(hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)).decode()


@contextmanager
def azure_server() -> Iterator[AzureServer]:
    """Run Azurite, with one private container."""
    program = shutil.which("azurite-blob", path=f"{_NODE_PACKAGES}{os.pathsep}{os.environ.get('PATH', '')}")
    if program is None or shutil.which("node") is None:
        absent("Azurite is not installed; .ci/npm-packages installs it")
    command = [
        program,
        "--blobPort",
        "0",
        "--inMemoryPersistence",
        "--skipApiVersionCheck",
        "--disableTelemetry",
    ]
    with running_process(command, r"successfully listens on (http://[\d.:]+)") as endpoint:
        server = AzureServer(endpoint)
        server.make_container(BUCKET)
        yield server
