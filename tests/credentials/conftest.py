"""A stand-in for Google's token endpoint and an API behind it, on loopback; it verifies what is signed."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from mediagen.credentials import Credential
from mediagen.credentials.signing import GoogleAuth

EMAIL = "painter@film-1.iam.gserviceaccount.com"
REFRESH_TOKEN = "1//refresh-SECRET-0123456789"
CLIENT_SECRET = "GOCSPX-client-SECRET"
CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"


@dataclass(frozen=True, kw_only=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


@dataclass
class FakeGoogle:
    """Settings and memory of the stand-in; `scripted` answers come before the real ones."""

    public_key: rsa.RSAPublicKey
    url: str = ""
    expires_in: Any = 3600
    valid: set[str] = field(default_factory=set)
    issued: list[str] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    scripted: list[tuple[int, bytes, dict[str, str]]] = field(default_factory=list)
    user_is_revoked: bool = False
    key_trouble: str = ""
    token_delay: float = 0.0
    drip: bool = False
    released: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def token_requests(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.path == "/token"]

    @property
    def api_requests(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.path.startswith("/v1")]

    def expire_tokens(self) -> None:
        self.valid.clear()

    def answer(self, asked: Asked) -> tuple[int, Any]:
        match asked.path.partition("?")[0]:
            case "/token":
                return self._token(asked.form)
            case "/sts":
                known = asked.form.get("subject_token") == "subject-SECRET"
                return (
                    (200, {**self._issue(), "issued_token_type": "x"}) if known else (400, {"error": "invalid_grant"})
                )
            case path if path.endswith(":generateAccessToken"):
                expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
                if not self._knows(asked):
                    return 403, {"error": {"code": 403, "status": "PERMISSION_DENIED"}}
                return 200, {"accessToken": self._issue()["access_token"], "expireTime": expires}
            case path if path.startswith("/computeMetadata/v1/instance/service-accounts/"):
                return 200, self._issue() if path.endswith("token") else {"email": EMAIL, "scopes": [CLOUD_PLATFORM]}
            case _:
                return (200, {"ok": True}) if self._knows(asked) else (401, {"error": {"status": "UNAUTHENTICATED"}})

    def _knows(self, asked: Asked) -> bool:
        return asked.headers.get("authorization", "").removeprefix("Bearer ") in self.valid

    def _token(self, form: dict[str, str]) -> tuple[int, Any]:
        if form["grant_type"] == "refresh_token":
            right = (form["refresh_token"], form["client_secret"]) == (REFRESH_TOKEN, CLIENT_SECRET)
            if self.user_is_revoked or not right:
                text = f"Token has been expired or revoked: {form['refresh_token']}"
                return 400, {"error": "invalid_grant", "error_description": text}
            return 200, self._issue()
        if self.key_trouble or not self._is_signed(form["assertion"]):
            trouble = self.key_trouble or "Invalid JWT Signature."
            return 400, {"error": "invalid_grant", "error_description": trouble}
        return 200, self._issue()

    def _issue(self) -> dict[str, Any]:
        with self.lock:
            token = f"ya29.token-SECRET-{len(self.issued)}"
            self.issued.append(token)
            self.valid.add(token)
        return {"access_token": token, "expires_in": self.expires_in, "token_type": "Bearer"}

    def _is_signed(self, assertion: str) -> bool:
        head, claims_part, signature = assertion.split(".")
        try:
            self.public_key.verify(
                _decoded(signature), f"{head}.{claims_part}".encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except InvalidSignature:
            return False
        claims = json.loads(_decoded(claims_part))
        return bool(
            claims["iss"] == EMAIL
            and claims["scope"] == CLOUD_PLATFORM
            and claims["aud"] == "https://oauth2.googleapis.com/token"
            and abs(claims["iat"] - time.time()) < 60
            and claims["exp"] - claims["iat"] <= 3600
        )


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _handler(google: FakeGoogle) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(method=self.command, path=self.path, headers=headers, body=body)
            google.asked.append(asked)
            is_token = asked.path.startswith(("/token", "/sts"))
            if is_token:
                google.released.wait(google.token_delay)
            if is_token and google.drip:
                self._drip()
                return
            if is_token and google.scripted:
                status, data, extra = google.scripted.pop(0)
            else:
                status, value = google.answer(asked)
                data, extra = json.dumps(value).encode(), {"content-type": "application/json"}
            try:
                self.send_response(status)
                for name, text in {**extra, "content-length": str(len(data))}.items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(data)
            except ConnectionError:
                pass

        do_GET = do_POST  # noqa: N815 - the name is http.server's

        def _drip(self) -> None:
            try:
                self.wfile.write(b"HTTP/1.0 200 OK\r\n")
                while not google.released.wait(0.02):
                    self.wfile.write(b"x-more: 1\r\n")
            except ConnectionError:
                pass

        def log_message(self, *args: Any) -> None:
            pass

    return Handler


@pytest.fixture(scope="session")
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def google(private_key: rsa.RSAPrivateKey) -> Iterator[FakeGoogle]:
    state = FakeGoogle(private_key.public_key())
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    server.daemon_threads = False
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    state.released.set()
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def pem(private_key: rsa.RSAPrivateKey) -> str:
    return private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.fixture
def service_account(google: FakeGoogle, pem: str) -> dict[str, Any]:
    return {
        "type": "service_account",
        "project_id": "film-1",
        "private_key_id": "kid1",
        "private_key": pem,
        "client_email": EMAIL,
        "token_uri": f"{google.url}/token",
        "universe_domain": "googleapis.com",
    }


@pytest.fixture
def user(google: FakeGoogle) -> dict[str, Any]:
    return {
        "type": "authorized_user",
        "client_id": "cid.apps.googleusercontent.com",
        "client_secret": CLIENT_SECRET,
        "refresh_token": REFRESH_TOKEN,
        "quota_project_id": "quota-1",
        "token_uri": f"{google.url}/token",
    }


Saved = Callable[..., Credential]


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    """Writes a credentials file and gives the credential that names it."""

    def save(content: Any, name: str = "key 🎬.json", **more: Any) -> Credential:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        path.chmod(0o600)
        return Credential(kind="adc", source="GOOGLE_APPLICATION_CREDENTIALS", file=path, **more)

    return save


Get = Callable[..., Any]


@pytest.fixture
def get(google: FakeGoogle) -> Get:
    """Sends one signed request to the API."""

    async def send(credential: Credential | httpx.Auth, path: str = "/v1/models", **options: Any) -> httpx.Response:
        auth = credential if isinstance(credential, httpx.Auth) else GoogleAuth(credential, google.url)
        async with httpx.AsyncClient(auth=auth, trust_env=False, verify=False, timeout=10) as client:
            return await client.request(options.pop("method", "GET"), f"{google.url}{path}", **options)

    return send
