from collections.abc import Callable
from typing import Any

import httpx
import pytest
import respx

from mediagen.endpoints.gemini_api import GeminiApi
from mediagen.errors import AuthenticationError, EndpointError, StorageError, UnavailableError

Loopback = Any
MakeReply = Callable[..., Any]
MakePart = Callable[..., Any]
MakeApi = Callable[..., GeminiApi]

FILM = bytes(range(256)) * 2000
GOOGLE = "https://generativelanguage.googleapis.com"
ACTIVE = {"name": "files/abc", "state": "ACTIVE"}
MP4 = {"Content-Type": "video/mp4"}


def uri(loopback: Loopback) -> str:
    return f"{loopback.url}/v1beta/files/abc:download?alt=media"


def rest(make_reply: MakeReply, start: int, **more: Any) -> Any:
    headers = {"Content-Range": f"bytes {start}-{len(FILM) - 1}/{len(FILM)}", **MP4}
    return make_reply(status=206, body=FILM[start:], headers=headers, **more)


async def test_file_is_streamed_in_small_pieces_with_progress(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart
) -> None:
    loopback.script = [make_reply(body=ACTIVE), make_reply(body=FILM, headers=MP4)]
    part, seen = make_part(), []

    async def on_progress(received: int, total: int | None) -> None:
        seen.append((received, total))

    await api.download(uri(loopback), part, on_progress)
    assert part.data == FILM
    assert part.largest_piece <= 256 * 1024
    assert seen[-1] == (len(FILM), len(FILM))
    assert len(seen) > 1
    assert [request.target for request in loopback.received] == [
        "/v1beta/files/abc",
        "/v1beta/files/abc:download?alt=media",
    ]
    assert all(request.headers["x-goog-api-key"] for request in loopback.received)


async def test_plain_file_address_is_completed(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart
) -> None:
    loopback.script = [make_reply(body=ACTIVE), make_reply(body=FILM)]
    await api.download(f"{loopback.url}/v1beta/files/abc", make_part())
    assert loopback.received[1].target == "/v1beta/files/abc:download?alt=media"


async def test_file_is_waited_for_until_it_is_active(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart, naps: list[float]
) -> None:
    processing = make_reply(body={"name": "files/abc", "state": "PROCESSING"})
    loopback.script = [processing, processing, make_reply(body=ACTIVE), make_reply(body=FILM)]
    part = make_part()
    await api.download(uri(loopback), part)
    assert part.data == FILM
    assert len(naps) == 2


async def test_file_that_stays_in_processing_can_be_asked_for_later(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart, naps: list[float]
) -> None:
    loopback.answer = lambda _: make_reply(body={"state": "PROCESSING"})
    with pytest.raises(UnavailableError) as caught:
        await api.download(uri(loopback), make_part())
    assert caught.value.code == "file_processing"
    assert 300 <= sum(naps) <= 320


async def test_file_that_google_could_not_make_is_an_error(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart
) -> None:
    loopback.script = [make_reply(body={"state": "FAILED", "error": {"message": "broken pixels"}})]
    with pytest.raises(EndpointError, match="broken pixels") as caught:
        await api.download(uri(loopback), make_part())
    assert caught.value.code == "file_failed"


async def test_cut_download_goes_on_where_it_ended(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart
) -> None:
    part = make_part()

    def answer(request: Any) -> Any:
        if not request.path.endswith(":download"):
            return make_reply(body=ACTIVE)
        if len(loopback.received) == 2:
            return make_reply(body=FILM, cut_after=300_000, headers=MP4)
        return rest(make_reply, part.size())

    loopback.answer = answer
    await api.download(uri(loopback), part)
    assert part.data == FILM
    assert part.truncated == 0
    resumed_at = int(loopback.received[2].headers["range"].removeprefix("bytes=").removesuffix("-"))
    assert 0 < resumed_at <= 300_000


async def test_download_of_an_earlier_process_goes_on(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart
) -> None:
    part = make_part(FILM[:1000])
    loopback.script = [make_reply(body=ACTIVE), rest(make_reply, 1000)]
    await api.download(uri(loopback), part)
    assert part.data == FILM
    assert loopback.received[1].headers["range"] == "bytes=1000-"


async def test_server_that_ignores_the_range_starts_over(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart
) -> None:
    part = make_part(b"old")
    loopback.script = [make_reply(body=ACTIVE), make_reply(body=FILM)]
    await api.download(uri(loopback), part)
    assert (part.data, part.truncated) == (FILM, 1)


async def test_wrong_piece_starts_over(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart
) -> None:
    part = make_part(FILM[:1000])
    # As many bytes as are missing, but from another place.
    headers = {"Content-Range": f"bytes 500-{len(FILM) - 501}/{len(FILM)}", **MP4}
    other = make_reply(status=206, body=FILM[500:-500], headers=headers)
    loopback.script = [make_reply(body=ACTIVE), other, make_reply(body=FILM)]
    await api.download(uri(loopback), part)
    assert part.data == FILM
    assert "range" not in loopback.received[2].headers


async def test_complete_part_needs_no_further_bytes(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart
) -> None:
    part = make_part(FILM)
    headers = {"Content-Range": f"bytes */{len(FILM)}"}
    loopback.script = [make_reply(body=ACTIVE), make_reply(status=416, headers=headers)]
    await api.download(uri(loopback), part)
    assert part.data == FILM


async def test_part_that_does_not_fit_is_thrown_away(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart
) -> None:
    part = make_part(FILM + b"too much")
    headers = {"Content-Range": f"bytes */{len(FILM)}"}
    loopback.script = [make_reply(body=ACTIVE), make_reply(status=416, headers=headers), make_reply(body=FILM)]
    await api.download(uri(loopback), part)
    assert (part.data, part.truncated) == (FILM, 1)


async def test_download_that_keeps_breaking_keeps_what_came(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart
) -> None:
    loopback.answer = lambda request: (
        make_reply(body=FILM, cut_after=140_000) if "download" in request.path else make_reply(body=ACTIVE)
    )
    part = make_part()
    with pytest.raises(UnavailableError) as caught:
        await api.download(uri(loopback), part)
    assert (caught.value.retryable, caught.value.billed) == (True, "yes")
    assert len(loopback.received) == 1 + 5
    assert FILM.startswith(part.data)
    assert part.data


async def test_web_page_in_place_of_the_file_is_not_stored(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart
) -> None:
    page = make_reply(body=b"<html>", headers={"Content-Type": "text/html; charset=utf-8"})
    loopback.script = [make_reply(body=ACTIVE), page, make_reply(body=FILM, headers=MP4)]
    part = make_part()
    await api.download(uri(loopback), part)
    assert part.data == FILM


@pytest.mark.parametrize("status", [403, 404, 410])
@pytest.mark.parametrize("already_active", [True, False])
async def test_file_that_is_gone_is_expired(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart, status: int, already_active: bool
) -> None:
    gone = make_reply(status=status, body={"error": {"code": status, "message": "gone", "status": "PERMISSION_DENIED"}})
    loopback.script = [*([make_reply(body=ACTIVE)] if already_active else []), gone]
    with pytest.raises(EndpointError) as caught:
        await api.download(uri(loopback), make_part())
    assert (caught.value.code, caught.value.billed) == ("expired", "yes")


async def test_refused_key_does_not_make_a_file_expired(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart
) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_SERVICE_BLOCKED"}]
    loopback.script = [make_reply(status=403, body={"error": {"code": 403, "message": "m", "details": details}})]
    with pytest.raises(AuthenticationError):
        await api.download(uri(loopback), make_part())


async def test_disk_error_is_passed_on(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart
) -> None:
    part = make_part()

    async def full(_: bytes) -> None:
        raise StorageError("disk full")

    part.append = full
    loopback.script = [make_reply(body=ACTIVE), make_reply(body=FILM)]
    with pytest.raises(StorageError):
        await api.download(uri(loopback), part)


async def test_redirect_on_the_api_itself_is_signed(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart
) -> None:
    loopback.script = [
        make_reply(body=ACTIVE),
        make_reply(status=302, headers={"Location": "/moved/abc"}),
        make_reply(body=FILM),
    ]
    await api.download(uri(loopback), make_part())
    assert loopback.received[2].target == "/moved/abc"
    assert "x-goog-api-key" in loopback.received[2].headers


async def test_endless_redirects_end(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart
) -> None:
    loopback.answer = lambda request: (
        make_reply(body=ACTIVE)
        if request.path == "/v1beta/files/abc"
        else make_reply(status=302, headers={"Location": "/round"})
    )
    with pytest.raises(EndpointError) as caught:
        await api.download(uri(loopback), make_part())
    assert caught.value.code == "too_many_redirects"
    assert len(loopback.received) == 1 + 6


@respx.mock
async def test_key_is_dropped_on_a_redirect_to_elsewhere(make_api: MakeApi, make_part: MakePart) -> None:
    respx.get(f"{GOOGLE}/v1beta/files/abc").mock(return_value=httpx.Response(200, json=ACTIVE))
    respx.get(f"{GOOGLE}/v1beta/files/abc:download").mock(
        return_value=httpx.Response(302, headers={"Location": "https://storage.test/o?X-Goog-Signature=s"})
    )
    elsewhere = respx.get("https://storage.test/o").mock(return_value=httpx.Response(200, content=FILM))
    part = make_part()
    await make_api(GOOGLE).download(f"{GOOGLE}/v1beta/files/abc:download?alt=media", part)
    assert part.data == FILM
    assert "x-goog-api-key" not in elsewhere.calls.last.request.headers


@respx.mock
async def test_signed_address_that_ran_out_is_asked_for_anew(make_api: MakeApi, make_part: MakePart) -> None:
    respx.get(f"{GOOGLE}/v1beta/files/abc").mock(return_value=httpx.Response(200, json=ACTIVE))
    respx.get(f"{GOOGLE}/v1beta/files/abc:download").mock(
        return_value=httpx.Response(302, headers={"Location": "https://storage.test/o?X-Goog-Signature=s"})
    )
    respx.get("https://storage.test/o").mock(side_effect=[httpx.Response(403), httpx.Response(200, content=FILM)])
    part = make_part()
    await make_api(GOOGLE).download(f"{GOOGLE}/v1beta/files/abc:download?alt=media", part)
    assert part.data == FILM


@pytest.mark.parametrize(
    "address",
    [
        *("http://elsewhere.test/x", "file:///etc/passwd", "gs://bucket/x", "https://a:b@x.test/"),
        *("https://169.254.169.254/x", "https://[::ffff:10.0.0.1]/x", "https://2130706433/x", "https://localhost:9/x"),
        *("https://metadata.google.internal/x", "https://intranet/x"),
    ],
)
async def test_unsafe_address_is_never_contacted(api: GeminiApi, make_part: MakePart, address: str) -> None:
    with pytest.raises(EndpointError) as caught:
        await api.download(address, make_part())
    assert caught.value.code == "unsafe_uri"


async def test_redirect_to_an_unsafe_address_is_not_followed(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart
) -> None:
    loopback.script = [
        make_reply(body=ACTIVE),
        make_reply(status=302, headers={"Location": "http://169.254.169.254/secrets"}),
    ]
    with pytest.raises(EndpointError) as caught:
        await api.download(uri(loopback), make_part())
    assert caught.value.code == "unsafe_uri"
