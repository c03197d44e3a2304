import httpx
import pytest
from pydantic import SecretStr

from mediagen.credentials import ApiKeyAuth
from mediagen.errors import AuthenticationError


def signed(url: str, *, origin: str = "https://api.test", header: str | None = None) -> str | None:
    request = httpx.Request("GET", url, headers={"x-goog-api-key": header} if header else {})
    next(ApiKeyAuth(SecretStr(" AQ.key\n"), origin).auth_flow(request))
    found: str | None = request.headers.get("x-goog-api-key")
    return found


@pytest.mark.parametrize("url", ["https://api.test/v1/x", "https://api.test:443/", "https://API.test/x"])
def test_request_to_the_origin_is_signed(url: str) -> None:
    assert signed(url) == "AQ.key"


@pytest.mark.parametrize(
    "url", ["http://api.test/", "https://api.test:444/", "https://api.test.evil.test/", "https://evil.test/api.test"]
)
def test_request_elsewhere_carries_no_key(url: str) -> None:
    assert signed(url) is None
    assert signed(url, header="left over") is None


@pytest.mark.parametrize("key", ["", "  ", "two words", "line\nbreak", "ключ"])
def test_impossible_key_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(AuthenticationError) as refused:
        ApiKeyAuth(SecretStr(key), "https://api.test")
    assert refused.value.code == "malformed_key"
    assert not key.strip() or key not in str(refused.value)


def test_key_is_not_in_the_representation() -> None:
    assert "AQ" not in repr(ApiKeyAuth(SecretStr("AQ.key"), "https://api.test"))
