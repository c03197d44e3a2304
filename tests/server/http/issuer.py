"""An OAuth issuer on a loopback port: metadata, keys, and tokens as a test wants them."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

AUDIENCE = "https://media.example.com"


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Issuer:
    """Issues tokens.

    Attributes:
        keys: Private keys by their id, of which the public parts are told.
        asked: Paths that were asked for.
        path: Below which it lives; its metadata then lie elsewhere.
    """

    def __init__(self, path: str = "") -> None:
        self.keys = {"key-1": new_key()}
        self.asked: list[str] = []
        self.path = path
        self.metadata: dict[str, Any] = {}
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                found = issuer.answer(self.path)
                data = json.dumps(found).encode()
                self.send_response(404 if found is None else 200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_request(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{self.origin}{self.path}"

    def answer(self, path: str) -> object:
        if path == f"/.well-known/oauth-authorization-server{self.path.rstrip('/')}":
            return {"issuer": self.url, "jwks_uri": f"{self.origin}/keys", **self.metadata}
        return {"keys": self.public_keys()} if path == "/keys" else None

    def public_keys(self) -> list[dict[str, Any]]:
        return [
            {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())), "kid": key_id, "use": "sig"}
            for key_id, key in self.keys.items()
        ]

    def token(
        self,
        subject: str = "ada",
        *,
        key: Any = None,
        algorithm: str = "RS256",
        headers: dict[str, Any] | None = None,
        without: str = "",
        **claims: Any,
    ) -> str:
        """A good token, but for what is said."""
        now = int(time.time())
        told = {
            "iss": self.url,
            "sub": subject,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + 600,
            "scope": "media",
            **claims,
        }
        told.pop(without, None)
        key = self.keys["key-1"] if key is None else key
        return jwt.encode(told, key, algorithm=algorithm, headers={"kid": "key-1", **(headers or {})})

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def running_issuer(path: str = "") -> Iterator[Issuer]:
    issuer = Issuer(path)
    issuer.start()
    try:
        yield issuer
    finally:
        issuer.stop()
