"""Over TLS: whom the process trusts, and what counts as sent."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.submitter.conftest import BODY, Google, Spool, pytestmark

from mediagen.errors import UnavailableError
from mediagen.submitter.submitter import DetachedSubmitter

__all__ = ["pytestmark"]

Secure = Callable[[str], Path]


@pytest.fixture
def secure(google: Google, tmp_path: Path) -> Secure:
    """Lets the server speak TLS for an address; gives the file with its certificate."""

    def make(address: str) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        trusted, private = tmp_path / "trusted.pem", tmp_path / "key.pem"
        trusted.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        private.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(trusted, private)
        google.socket = context.wrap_socket(google.socket, server_side=True, do_handshake_on_connect=False)
        google.url = google.url.replace("http:", "https:")
        return trusted

    return make


async def test_server_of_a_named_certificate_file_is_trusted(google: Google, spool: Spool, secure: Secure) -> None:
    environment = {"SSL_CERT_FILE": str(secure("127.0.0.1"))}
    async with DetachedSubmitter(environment=environment) as submitter:
        answer = await submitter.send(spool.request(google.url, body=b"x" * 1_000_000))
    assert answer.body() == BODY
    assert google.seen == {"job_1": 1}


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_server_of_another_name_or_unknown_issuer_is_sent_nothing(
    google: Google, spool: Spool, secure: Secure, is_trusted: bool
) -> None:
    trusted = secure("127.0.0.2" if is_trusted else "127.0.0.1")
    async with DetachedSubmitter(environment={"SSL_CERT_FILE": str(trusted)} if is_trusted else {}) as submitter:
        with pytest.raises(UnavailableError, match="SSLCertVerificationError"):
            await submitter.send(spool.request(google.url))
    assert not google.seen


async def test_connection_dropped_within_tls_is_told_as_a_cut_answer(
    google: Google, spool: Spool, secure: Secure
) -> None:
    google.behave = lambda handler: handler.answer(cut_after=5)
    async with DetachedSubmitter(environment={"SSL_CERT_FILE": str(secure("127.0.0.1"))}) as submitter:
        answer = await submitter.send(spool.request(google.url))
    assert answer.end == "cut"
