import base64
import hashlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import respx

from mediagen.endpoints import download
from mediagen.endpoints.gemini_api import GeminiApi
from mediagen.endpoints.wire.remote_file import Remote
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


def checked(data: bytes = FILM, **changes: str) -> dict[str, str]:
    """Headers of a store that names the tag and the checksums of a file."""
    md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    return {**MP4, "ETag": '"one"', "x-goog-hash": f"crc32c=AAAAAA==, md5={md5}", **changes}


async def test_rest_is_asked_for_only_of_the_same_content(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart
) -> None:
    loopback.script = [
        make_reply(body=ACTIVE),
        make_reply(body=FILM, headers=checked(), cut_after=200_000),
        make_reply(body=FILM[::-1], headers=checked(FILM[::-1], ETag='"two"')),
    ]
    part = make_part()
    await api.download(uri(loopback), part)
    asked = loopback.received[-1].headers
    assert asked["if-range"] == '"one"'
    assert asked["range"].startswith("bytes=")
    # The store sends the whole new file instead of the rest of another one.
    assert part.data == FILM[::-1]


@pytest.mark.parametrize("changed", [{"ETag": '"two"'}, {"ETag": 'W/"2"'}, {"x-goog-hash": "crc32c=BBBBBB=="}])
async def test_rest_of_another_file_is_never_added(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart, changed: dict[str, str]
) -> None:
    part = make_part(b"other" * 1000)
    part.noted = {"etag": '"one"', "crc32c": "AAAAAA=="}
    start = part.size()
    headers = {"Content-Range": f"bytes {start}-{len(FILM) - 1}/{len(FILM)}", **MP4, **changed}
    loopback.script = [
        make_reply(body=ACTIVE),
        make_reply(status=206, body=FILM[start:], headers=headers),
        make_reply(body=FILM, headers=MP4),
    ]
    await api.download(uri(loopback), part)
    assert part.data == FILM
    assert "range" not in loopback.received[-1].headers


async def test_file_that_changed_its_length_starts_over(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart
) -> None:
    part = make_part(FILM[:1000])
    part.noted = {"length": "4000"}
    loopback.script = [make_reply(body=ACTIVE), rest(make_reply, 1000), make_reply(body=FILM, headers=MP4)]
    await api.download(uri(loopback), part)
    assert part.data == FILM
    assert part.truncated == 1


async def test_bytes_that_do_not_fit_their_checksum_are_fetched_again(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart
) -> None:
    damaged = FILM[:-1] + b"?"
    loopback.script = [
        make_reply(body=ACTIVE),
        make_reply(body=damaged, headers=checked()),
        make_reply(body=FILM, headers=checked()),
    ]
    part = make_part()
    await api.download(uri(loopback), part)
    assert part.data == FILM
    assert "doubt" not in part.noted


async def test_same_wrong_bytes_again_and_again_are_kept_with_a_doubt(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart
) -> None:
    damaged = FILM[:-1] + b"?"
    loopback.script = [make_reply(body=ACTIVE), *[make_reply(body=damaged, headers=checked())] * 3]
    part = make_part()
    await api.download(uri(loopback), part)
    assert part.data == damaged
    assert "not the one that Google names" in part.noted["doubt"]


async def test_checksum_of_a_packed_file_is_not_compared(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart
) -> None:
    headers = checked(b"packed", **{"x-goog-stored-content-encoding": "gzip"})
    loopback.script = [make_reply(body=ACTIVE), make_reply(body=FILM, headers=headers)]
    part = make_part()
    await api.download(uri(loopback), part)
    assert part.data == FILM
    assert len(loopback.received) == 2


@pytest.mark.parametrize("is_announced", [True, False])
async def test_file_without_an_end_does_not_fill_the_disk(
    api: GeminiApi,
    loopback: Loopback,
    make_reply: MakeReply,
    make_part: MakePart,
    monkeypatch: pytest.MonkeyPatch,
    is_announced: bool,
) -> None:
    monkeypatch.setattr(download, "MAX_FILE_BYTES", 300_000)
    chunked = b"".join(b"40000\r\n" + b"x" * 0x40000 + b"\r\n" for _ in range(8))
    endless = make_reply(body=chunked, headers={"Transfer-Encoding": "chunked", **MP4}, has_length=False)
    whole = make_reply(body=FILM, headers=MP4) if is_announced else endless
    loopback.answer = lambda request: whole if "alt=media" in request.target else make_reply(body=ACTIVE)
    part = make_part()
    with pytest.raises(UnavailableError, match="has no end"):
        await api.download(uri(loopback), part)
    assert part.size() == 0


async def test_file_that_only_drips_is_asked_for_anew_and_what_came_is_kept(
    api: GeminiApi, loopback: Loopback, make_reply: MakeReply, make_part: MakePart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "SLOW_SECONDS", 0.0)
    monkeypatch.setattr(download, "SLOW_BYTES", 10**9)
    sent: list[str] = []

    def answer(request: Any) -> Any:
        if "alt=media" not in request.target:
            return make_reply(body=ACTIVE)
        sent.append(request.headers.get("range", "bytes=0-"))
        start = int(sent[-1].removeprefix("bytes=").rstrip("-"))
        return rest(make_reply, start) if start else make_reply(body=FILM, headers=MP4)

    loopback.answer = answer
    part = make_part()
    with pytest.raises(UnavailableError, match=r"Only \d+ bytes"):
        await api.download(uri(loopback), part)
    assert part.data == FILM[: part.size()]
    assert part.truncated == 0
    assert len(set(sent)) == len(sent) > 1


@pytest.mark.parametrize(
    ("note", "known"),
    [
        ({}, Remote()),
        ({"length": "1" * 400, "etag": "x" * 400, "md5": "?", "crc32c": "="}, Remote(etag="x" * 300)),
        ({"length": "-1"}, Remote()),
        ({"length": "²"}, Remote()),
    ],
)
def test_damaged_note_says_nothing(note: dict[str, str], known: Remote) -> None:
    assert Remote.noted(note) == known


def test_weak_tag_or_one_that_no_header_can_hold_is_not_sent() -> None:
    for tag in ('W/"1"', '"a\r\nx: y"', "", '"é"'):
        assert Remote(etag=tag).if_unchanged == {}
