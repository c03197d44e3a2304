"""Pictures come out of an answer alike, whoever takes it in, also a process that finds it on the disk later."""

import base64
import gzip
import json
import os
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import SecretStr
from tests.endpoints.conftest import LoopbackServer, Naps, Reply

from mediagen.credentials import ApiKeyAuth
from mediagen.endpoints.base import Finished, InlineFile, PaidRequest
from mediagen.endpoints.cliproxy import CliProxy
from mediagen.endpoints.gemini_api import GeminiApi
from mediagen.endpoints.http import HttpSettings
from mediagen.errors import MediaGenError
from mediagen.storage.conversations import Conversations
from mediagen.submitter.base import is_supported

pytestmark = pytest.mark.skipif(not is_supported(), reason="needs a platform with the submitter")

PNG = b"\x89PNG\r\n\x1a\n"
DRAFT, FIRST, LAST = (PNG + os.urandom(size) for size in (400_000, 100, 700_001))
SIGNATURE = base64.b64encode(os.urandom(3000)).decode() + "\u2028/+"


def part(data: bytes | str, **more: Any) -> dict[str, Any]:
    text = data if isinstance(data, str) else base64.b64encode(data).decode()
    return {"inlineData": {"mimeType": "image/jpeg", "data": text}, **more}


def said(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "finishReason": "STOP", **more}]}


ONE = said(part(LAST, thoughtSignature=SIGNATURE))
THOUGHT = said(
    {"text": "inline:0", "thought": True},
    part(DRAFT, thought=True, thoughtSignature=SIGNATURE),
    {"text": "inline:1"},
    part(LAST, thoughtSignature=SIGNATURE),
)
SEVERAL = said(part(DRAFT), part(FIRST), part(LAST, thoughtSignature=SIGNATURE))
CHAT = {
    "choices": [
        {
            "message": {
                "content": "here",
                "images": [
                    {
                        "type": "image_url",
                        "image_url": {"url": f"data:image/png;base64,{base64.b64encode(data).decode()}"},
                    }
                    for data in (DRAFT, LAST)
                ],
            },
            "native_finish_reason": "STOP",
        }
    ]
}


def chunked(body: bytes) -> Reply:
    pieces = [body[start : start + 70_000] for start in range(0, len(body), 70_000)]
    text = b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces) + b"0\r\n\r\n"
    return Reply(body=text, headers={"Transfer-Encoding": "chunked"}, has_length=False)


def packed(body: bytes) -> Reply:
    return Reply(body=gzip.compress(body, 1), headers={"Content-Encoding": "gzip"})


def told(outcome: Finished) -> dict[str, Any]:
    turn = json.loads(json.dumps(outcome.turn, default=lambda file: "".join(file.base64())))
    assert isinstance(outcome.picture, InlineFile)
    image = outcome.image
    return {
        "picture": outcome.picture.data,
        "turn": turn,
        "facts": (image.mime_type, image.text, image.usage, image.image_count),
        "warnings": outcome.warnings,
    }


async def outcomes(
    surface: type[GeminiApi] | type[CliProxy], loopback: LoopbackServer, folder: Path, reply: Reply
) -> list[Any]:
    """What comes of an answer that this process takes in, that a submitter stores, and that is found later."""
    from mediagen.submitter.recovery import read_answer
    from mediagen.submitter.submitter import DetachedSubmitter
    from mediagen.submitter.tickets import open_folder

    found: list[Any] = []
    http = HttpSettings(sleep=Naps().sleep)
    auth = ApiKeyAuth(SecretStr("key"), loopback.url)
    async with DetachedSubmitter() as submitter:
        for way in (None, submitter, submitter):
            call = PaidRequest(
                kind="image",
                model="gemini-3-pro-image",
                api="generate_content",
                body={"contents": [{"role": "user", "parts": [{"text": "a boat"}]}]},
                folder=folder / ("here" if way is None else "detached") / "job_1-0",
            )
            assert call.folder
            async with surface(auth=auth, key_source="k", base_url=loopback.url, http=http, submitter=way) as api:
                try:
                    if way is submitter and len(found) == 2:
                        while not (call.folder / "paid-1.answer").exists():
                            await anyio.sleep(0.01)
                        before = sorted(path.name for path in call.folder.iterdir())
                        done = await api.read_answer(call, read_answer(call.folder, 1))
                        assert sorted(path.name for path in call.folder.iterdir()) == before
                    else:
                        call.folder.mkdir(parents=True)
                        open_folder(str(call.folder))
                        loopback.script = [reply]
                        done = await api.submit(call)
                    assert isinstance(done, Finished)
                    found.append(told(done))
                except MediaGenError as error:
                    found.append((type(error), str(error), error.code, error.billed))
                assert not [path for path in call.folder.iterdir() if not path.name.startswith(("paid-", "detached"))]
    return found


@pytest.mark.parametrize("send", [lambda body: Reply(body=body), chunked, packed], ids=["plain", "chunked", "packed"])
@pytest.mark.parametrize(("answer", "count"), [(ONE, 1), (THOUGHT, 1), (SEVERAL, 3)], ids=["one", "thought", "several"])
async def test_picture_and_turn_are_those_that_google_sent(
    loopback: LoopbackServer, tmp_path: Path, send: Any, answer: dict[str, Any], count: int
) -> None:
    here, detached, later = await outcomes(GeminiApi, loopback, tmp_path, send(json.dumps(answer).encode()))
    assert here == detached == later
    assert here["picture"] == LAST
    assert here["turn"] == answer["candidates"][0]["content"]
    assert here["facts"][::3] == ("image/png", count)


async def test_last_picture_of_the_chat_route_is_taken(loopback: LoopbackServer, tmp_path: Path) -> None:
    # What stands where the Gemini route would be answers as the chat route does when it is read later.
    from mediagen.endpoints.base import StoredAnswer

    path = tmp_path / "paid-1.answer"
    path.write_bytes(json.dumps(CHAT).encode())
    stored = StoredAnswer(status_code=200, headers={}, path=path, offset=0, size_bytes=path.stat().st_size)
    call = PaidRequest(kind="image", model="m", api="generate_content", body={}, folder=tmp_path)
    async with CliProxy(auth=ApiKeyAuth(SecretStr("key"), loopback.url), base_url=loopback.url) as api:
        done = await api.read_answer(call, stored)
    assert isinstance(done, Finished)
    assert told(done)["picture"] == LAST
    assert told(done)["facts"] == ("image/png", "here", None, 2)
    assert not done.turn


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(body=said({"text": "no"})), "text_only"),
        (Reply(body=said(finishReason="IMAGE_SAFETY")), "image_safety"),
        (Reply(body={"promptFeedback": {"blockReason": "SAFETY"}}), "prompt_blocked"),
        (Reply(body=said(part(LAST), part("@@not base64@@"))), "bad_base64"),
        (Reply(body=said(part(""))), "bad_base64"),
        (Reply(body=said(part(LAST, thought=True))), "no_image"),
        (Reply(body=json.dumps(ONE).encode()[:-1]), "unreadable_answer"),
        (Reply(body=ONE, cut_after=500_000), "unconfirmed"),
        (Reply(status=500, body=ONE), None),
        (Reply(status=403, body={"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}}), None),
    ],
)
async def test_answer_without_a_picture_is_refused_alike(
    loopback: LoopbackServer, tmp_path: Path, reply: Reply, code: str | None
) -> None:
    here, detached, later = await outcomes(GeminiApi, loopback, tmp_path, reply)
    assert here == detached == later
    assert code in {None, here[2]}


async def test_damaged_draft_costs_the_conversation_only(loopback: LoopbackServer, tmp_path: Path) -> None:
    body = json.dumps(said(part("@@"), part(LAST))).encode()
    here, detached, later = await outcomes(GeminiApi, loopback, tmp_path, Reply(body=body))
    assert here == detached == later
    assert (here["picture"], here["turn"]) == (LAST, {})
    assert "continue_from" in here["warnings"][0]


async def test_kept_conversation_is_what_google_sent(loopback: LoopbackServer, tmp_path: Path) -> None:
    loopback.script = [Reply(body=THOUGHT)]
    call = PaidRequest(kind="image", model="m", api="generate_content", body={}, folder=None)
    asked = {"role": "user", "parts": [{"text": 'a "boat" \u2028🎬'}, part(FIRST)]}
    async with GeminiApi(auth=ApiKeyAuth(SecretStr("k"), loopback.url), key_source="k", base_url=loopback.url) as api:
        done = await api.submit(call)
    assert isinstance(done, Finished)
    kept = Conversations(folder=tmp_path)
    assert kept.keep("job_a", 0, [asked, done.turn])
    turns = await kept.read("job_a", 0)
    expected = [asked, THOUGHT["candidates"][0]["content"]]
    assert turns == expected
    with gzip.open(tmp_path / "job_a-0.json.gz") as file:
        assert file.read() == json.dumps(expected, separators=(",", ":")).encode()
