"""How a Qdrant server is reached: over TLS when its URL says so, with its API key."""

import ssl
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from rag_indexer.adapters.qdrant_passages import qdrant_collections
from sage_contracts.errors import StoreUnavailable
from tests.fakes.cluster import free_port, stopped


@asynccontextmanager
async def server(tls: ssl.SSLContext | None = None) -> AsyncGenerator[str]:
    """Knows of one alias, and tells only those with the key."""

    async def aliases(request: web.Request) -> web.Response:
        if request.headers.get("api-key") != "secret":
            return web.json_response({"status": {"error": "Forbidden"}, "time": 0}, status=403)
        found = [{"alias_name": "docs", "collection_name": "docs@1"}, {"alias_name": "x", "collection_name": "y"}]
        return web.json_response({"result": {"aliases": found}, "status": "ok", "time": 0})

    app = web.Application()
    app.router.add_get("/aliases", aliases)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    await stopped(runner)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 with its key, in one file."""
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    try:
        subprocess.run([*command.split(), *files], check=True, capture_output=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("openssl cannot make a certificate here")
    whole = folder / "both.pem"
    whole.write_bytes((folder / "certificate.pem").read_bytes() + (folder / "key.pem").read_bytes())
    return whole


@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection:UserWarning")
async def test_the_key_is_sent() -> None:
    async with server() as url:
        async with qdrant_collections(url, "secret") as collections:
            names = await collections.names()
        async with qdrant_collections(url, "wrong") as collections:
            with pytest.raises(StoreUnavailable, match="403"):
                await collections.names()

    assert names == ["docs"]


async def test_https_is_spoken_to_a_server_whose_certificate_is_trusted(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    async with server(tls) as url:
        async with qdrant_collections(url, "secret") as collections:
            with pytest.raises(StoreUnavailable, match=r"(?i)certificate"):
                await collections.names()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        async with qdrant_collections(url, "secret") as collections:
            assert await collections.names() == ["docs"]
