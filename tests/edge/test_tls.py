"""Mutual TLS: both show a certificate of one's own authority, and nothing less will do."""

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from tests.edge.test_config import GOOD
from tests.edge.test_loop import Edge
from tests.edge.test_talk import DEVICE, PUBLIC
from websockets.asyncio.server import ServerConnection, serve

from latchwork.edge import identity
from latchwork.edge.config import BadConfig, Config, read_config
from latchwork.edge.desk import EdgeDesk
from latchwork.edge.link import Link
from latchwork.edge.talk import Talk
from latchwork.sync.exchange import Challenge, Hello, pack, unpack

PATIENCE_S = 30


class Authority:
    """Somebody's own certificate authority, in a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.key = generate_private_key(SECP256R1())
        self.certificate = self._certificate(name, self.key, x509.BasicConstraints(ca=True, path_length=0))
        self._write(name, self.certificate, self.key)

    def issue(self, name: str) -> None:
        key = generate_private_key(SECP256R1())
        self._write(name, self._certificate(name, key, x509.BasicConstraints(ca=False, path_length=None)), key)

    def _certificate(self, name: str, key: EllipticCurvePrivateKey, what: x509.BasicConstraints) -> x509.Certificate:
        def called(text: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(
            called(self.name), called(name), key.public_key(), x509.random_serial_number()
        )
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        builder = builder.add_extension(what, critical=True).add_extension(here, critical=False)
        ours = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        theirs = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(ours, critical=False).add_extension(theirs, critical=False)
        if what.ca:
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
        return builder.sign(self.key, SHA256())

    def _write(self, name: str, certificate: x509.Certificate, key: EllipticCurvePrivateKey) -> None:
        (self.folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.folder / f"{name}.key").write_bytes(pem)


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    own = Authority(tmp_path, "own")
    own.issue("server")
    own.issue("wall")
    Authority(tmp_path, "other").issue("stranger")
    return tmp_path


def config(folder: Path, port: int, **lines: str) -> Config:
    more = "\n".join(f'{name} = "{value}"' for name, value in lines.items())
    text = GOOD.replace("http://127.0.0.1:8080/", f"https://127.0.0.1:{port}").replace("[bank]", f"[bank]\n{more}")
    path = folder / "bank.toml"
    path.write_text(text)
    return read_config(path)


def wants_certificates(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "own.pem")
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


async def greeted(papers: Path, made: Callable[[int], Config]) -> Hello | str:
    """The wall's hello to a server that wants a certificate; else why there was none."""
    hellos: asyncio.Queue[Hello] = asyncio.Queue()

    async def bank(socket: ServerConnection) -> None:
        await socket.send(pack(Challenge(b"n" * 32, datetime.now(UTC))))
        hello = unpack(await socket.recv(decode=False))
        assert isinstance(hello, Hello)
        await hellos.put(hello)

    edge = Edge(papers / "journal")
    await edge.start()
    talk = Talk(edge.id, edge.loop, edge.journal, PUBLIC, DEVICE.sign, "boot")
    async with serve(bank, "127.0.0.1", 0, ssl=wants_certificates(papers)) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        config = made(port)
        link = Link(config.server, EdgeDesk(edge.loop, edge.journal), talk, "test", tls=config.tls)
        running = asyncio.create_task(link.run())
        hello = asyncio.create_task(hellos.get())
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not hello.done() and link.why_lost == "not yet connected":
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0)
            return hello.result() if hello.done() else str(link.why_lost)
        finally:
            hello.cancel()
            running.cancel()
            await asyncio.gather(running, hello, return_exceptions=True)
            edge.journal.close()


async def test_each_shows_a_certificate_of_our_own_authority(papers: Path) -> None:
    both = {"tls_ca": "own.pem", "tls_certificate": "wall.pem", "tls_key": "wall.key"}
    assert isinstance(await greeted(papers, lambda port: config(papers, port, **both)), Hello)


@pytest.mark.parametrize(
    "lines",
    [
        {"tls_ca": "own.pem"},  # shows nothing
        {"tls_ca": "own.pem", "tls_certificate": "stranger.pem", "tls_key": "stranger.key"},
        {"tls_ca": "other.pem", "tls_certificate": "wall.pem", "tls_key": "wall.key"},  # another server than it trusts
        {},  # the machine's own list does not know this authority
    ],
)
async def test_nothing_less_will_do(papers: Path, lines: dict[str, str]) -> None:
    assert isinstance(await greeted(papers, lambda port: config(papers, port, **lines)), str)


async def test_it_enrols_over_the_same_line(papers: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"detail": "no such code"}'
        writer.write(b"HTTP/1.1 403 No\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=wants_certificates(papers))
    async with server:
        port = server.sockets[0].getsockname()[1]
        both = {"tls_ca": "own.pem", "tls_certificate": "wall.pem", "tls_key": "wall.key"}
        made = config(papers, port, **both)
        with pytest.raises(identity.EnrolmentRefused, match="no such code"):
            await identity.enrol(made.server, "CODE", papers, made.tls)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ({"tls_certificate": "wall.pem"}, "go together"),
        ({"tls_ca": "nowhere.pem"}, "nowhere.pem: no certificate"),
        ({"tls_certificate": "wall.pem", "tls_key": "server.key"}, "can be used"),
    ],
)
def test_papers_that_do_not_fit_are_named(papers: Path, lines: dict[str, str], says: str) -> None:
    with pytest.raises(BadConfig, match=says):
        config(papers, 1, **lines)


def test_who_asks_for_tls_is_not_given_less(papers: Path) -> None:
    path = papers / "bank.toml"
    path.write_text(GOOD.replace("[bank]", '[bank]\nallow_plain_http = true\ntls_ca = "own.pem"'))
    with pytest.raises(BadConfig, match="is not https"):
        read_config(path)
