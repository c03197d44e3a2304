"""Whose token is whose: everything about an access token that is not as it has to be is refused."""

import hmac
import threading
import time
from collections.abc import Callable, Iterator

import anyio
import anyio.to_thread
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.server.http.issuer import AUDIENCE, Issuer, new_key, running_issuer

from mediagen.server.callers import PRINCIPAL_CLAIM
from mediagen.server.http.keys import KEPT_SECONDS, SECONDS_BETWEEN, IssuerKeys
from mediagen.server.http.tokens import Verifier
from mediagen.settings import read_settings


@pytest.fixture(scope="module")
def shared_issuer() -> Iterator[Issuer]:
    with running_issuer() as issuer:
        yield issuer


@pytest.fixture
def issuer(shared_issuer: Issuer) -> Issuer:
    shared_issuer.asked.clear()
    shared_issuer.metadata = {}
    return shared_issuer


def verifier_for(issuer: Issuer, keys: IssuerKeys | None = None) -> Verifier:
    settings = read_settings(
        {
            "MEDIAGEN_HTTP_TOKEN": "operators-own",
            "MEDIAGEN_HTTP_ISSUER": issuer.url,
            "MEDIAGEN_HTTP_PUBLIC_URL": AUDIENCE,
        }
    )
    return Verifier(settings, keys or IssuerKeys(issuer.url))


async def principal(verifier: Verifier, token: str) -> str | None:
    access = await verifier.verify_token(token)
    return None if access is None else (access.claims or {})[PRINCIPAL_CLAIM]


async def test_tokens_of_one_subject_are_one_principal_and_those_of_another_are_not(issuer: Issuer):
    verifier = verifier_for(issuer)
    ada, again = await principal(verifier, issuer.token("ada")), await principal(verifier, issuer.token("ada"))
    bob = await principal(verifier, issuer.token("bob"))
    assert ada
    assert ada == again != bob
    assert await principal(verifier, "operators-own") == "token"
    assert issuer.asked.count("/keys") == 1


async def test_a_token_is_told_to_nobody_behind_the_check(issuer: Issuer):
    access = await verifier_for(issuer).verify_token(issuer.token("ada", email="ada@example.com"))
    assert access is not None
    assert "eyJ" not in access.model_dump_json()
    assert access.scopes == ["media"]


def unsigned(issuer: Issuer) -> str:
    return issuer.token(key="", algorithm="none")


def signed_with_the_public_key(issuer: Issuer) -> str:
    """What a server takes that lets the token choose: an HMAC, with the public key as its secret."""
    public = issuer.keys["key-1"].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    encode = jwt.utils.base64url_encode
    signed = encode(b'{"alg":"HS256","kid":"key-1","typ":"JWT"}') + b"." + issuer.token().split(".")[1].encode()
    return (signed + b"." + encode(hmac.digest(public, signed, "sha256"))).decode()


NOW = int(time.time())
BAD: dict[str, Callable[[Issuer], str]] = {
    "of another audience": lambda issuer: issuer.token(aud="https://other.example.com"),
    "of an audience that begins the same": lambda issuer: issuer.token(aud=f"{AUDIENCE}.evil.example"),
    "of another issuer": lambda issuer: issuer.token(iss="https://other.example.com"),
    "of an issuer with one slash more": lambda issuer: issuer.token(iss=f"{issuer.url}/"),
    "expired": lambda issuer: issuer.token(exp=NOW - 120),
    "not yet valid": lambda issuer: issuer.token(nbf=NOW + 86_400),
    "without exp": lambda issuer: issuer.token(without="exp"),
    "without aud": lambda issuer: issuer.token(without="aud"),
    "without iss": lambda issuer: issuer.token(without="iss"),
    "without sub": lambda issuer: issuer.token(without="sub"),
    "of no subject": lambda issuer: issuer.token(""),
    "unsigned": unsigned,
    "signed with the public key": signed_with_the_public_key,
    "signed with a key of its own": lambda issuer: issuer.token(key=new_key()),
    "that brings its key along": lambda issuer: issuer.token(
        key=new_key(), headers={"jwk": {"kty": "oct", "k": "AAAA"}, "jku": "http://127.0.0.1/keys"}
    ),
    "with a key that nobody knows": lambda issuer: issuer.token(headers={"kid": "key-9"}),
    "with a kid that is no text": lambda issuer: issuer.token().replace(
        issuer.token().split(".")[0], jwt.utils.base64url_encode(b'{"alg":"RS256","kid":["key-1"]}').decode(), 1
    ),
    "with demands of its own": lambda issuer: issuer.token(headers={"crit": ["exp"]}),
    "changed": lambda issuer: issuer.token()[:-8] + "AAAAAAAA",
    "cut": lambda issuer: issuer.token().rpartition(".")[0],
    "empty": lambda _: "",
    "of the operator, and one letter more": lambda _: "operators-own2",
    "of the operator, in other letters": lambda _: "Operators-own",
    "no text that can be sent": lambda _: "a.b.\ud800",
    "endless": lambda issuer: issuer.token(padding="x" * 20_000),
}


@pytest.mark.parametrize("kind", BAD)
async def test_a_token_is_refused_that_is(kind: str, issuer: Issuer):
    assert await principal(verifier_for(issuer), issuer.token())
    assert await principal(verifier_for(issuer), BAD[kind](issuer)) is None


async def test_a_list_of_audiences_and_a_list_of_scopes_are_understood(issuer: Issuer):
    token = issuer.token(aud=["https://other.example.com", f"{AUDIENCE}/mcp"], without="scope", scp=["a", "b", 3])
    access = await verifier_for(issuer).verify_token(token)
    assert access is not None
    assert access.scopes == ["a", "b"]


async def test_a_new_key_is_fetched_but_not_again_and_again(issuer: Issuer):
    seconds = 0.0
    keys = IssuerKeys(issuer.url, seconds=lambda: seconds)
    verifier = verifier_for(issuer, keys)
    assert await principal(verifier, issuer.token())
    new = issuer.keys["key-2"] = new_key()
    token = issuer.token(key=new, headers={"kid": "key-2"})
    try:
        for _ in range(5):
            assert await principal(verifier, token) is None
        assert issuer.asked.count("/keys") == 1
        seconds = SECONDS_BETWEEN + 1
        assert await principal(verifier, token)
        assert issuer.asked.count("/keys") == 2
    finally:
        del issuer.keys["key-2"]
    seconds += 3601
    assert await principal(verifier, token) is None, "a key that was withdrawn is forgotten"


@pytest.mark.parametrize(
    "metadata", [{"issuer": "https://other.example.com"}, {"jwks_uri": "http://keys.example.com"}, {"jwks_uri": 3}]
)
async def test_metadata_of_another_issuer_or_of_unencrypted_keys_are_not_believed(issuer: Issuer, metadata):
    issuer.metadata = metadata
    assert await principal(verifier_for(issuer), issuer.token()) is None


async def test_an_issuer_with_a_path_is_found():
    with running_issuer("/tenants/one/") as issuer:
        assert await principal(verifier_for(issuer), issuer.token())
        assert issuer.asked[0] == "/.well-known/oauth-authorization-server/tenants/one"


async def test_keys_are_taken_from_where_the_operator_says(issuer: Issuer):
    keys = IssuerKeys(issuer.url, f"{issuer.origin}/keys")
    assert await principal(verifier_for(issuer, keys), issuer.token())
    assert issuer.asked == ["/keys"]


async def test_an_issuer_that_is_gone_lets_nobody_new_in_and_breaks_nothing():
    with running_issuer() as issuer:
        token = issuer.token()
        verifier = verifier_for(issuer)
    assert await principal(verifier, token) is None
    assert await principal(verifier, "operators-own") == "token"


async def test_a_key_for_another_algorithm_is_not_used(issuer: Issuer):
    jwk = {**issuer.public_keys()[0], "alg": "RS512"}
    issuer_keys = IssuerKeys(issuer.url)
    issuer_keys._keys, issuer_keys._fetched_at = {"key-1": jwk}, time.monotonic()
    assert await issuer_keys.find("key-1", "RS512")
    assert await issuer_keys.find("key-1", "RS256") is None


async def test_who_has_a_known_key_does_not_wait_for_an_issuer_that_is_slow():
    seconds, asked, goes_on = 0.0, threading.Event(), threading.Event()

    class Slow(Issuer):
        def answer(self, path: str) -> object:
            if seconds and path == "/keys":
                asked.set()
                goes_on.wait(30)
            return super().answer(path)

    issuer = Slow()
    issuer.start()
    keys = IssuerKeys(issuer.url, seconds=lambda: seconds)
    try:
        assert await keys.find("key-1", "RS256")
        seconds = KEPT_SECONDS + 1.0
        async with anyio.create_task_group() as group:
            group.start_soon(keys.find, "key-1", "RS256")
            assert await anyio.to_thread.run_sync(asked.wait, 30)
            with anyio.fail_after(10):
                assert await keys.find("key-1", "RS256")
            goes_on.set()
    finally:
        goes_on.set()
        issuer.stop()
