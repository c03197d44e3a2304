"""The emulator's stand-in for CLIProxyAPI."""

import base64
import io
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from mediagen.emulator.thread import EmulatorHandle

MODEL = "gemini-3.1-flash-image"
CCS_KEY = "ccs-internal-managed"


@pytest.fixture
def proxy(emulator: EmulatorHandle) -> Iterator[httpx.Client]:
    keys = {"authorization": f"Bearer {CCS_KEY}"}
    with httpx.Client(base_url=f"{emulator.url}/cliproxy", headers=keys, timeout=20) as client:
        yield client


def generate(proxy: httpx.Client, text: str = "a cat", model: str = MODEL, **config: Any) -> httpx.Response:
    body = {"contents": [{"role": "user", "parts": [{"text": text}]}], "generationConfig": config}
    return proxy.post(f"/v1beta/models/{model}:generateContent", json=body)


def chat(proxy: httpx.Client, content: Any = "a cat", **more: Any) -> httpx.Response:
    body = {"model": MODEL, "messages": [{"role": "user", "content": content}], "modalities": ["image", "text"]}
    return proxy.post("/v1/chat/completions", json=body | more)


def google_size(answer: httpx.Response) -> tuple[int, int]:
    assert answer.status_code == 200, answer.text
    parts = answer.json()["candidates"][0]["content"]["parts"]
    return Image.open(io.BytesIO(base64.b64decode(parts[-1]["inlineData"]["data"]))).size


def openai_size(image: dict[str, Any]) -> tuple[int, int]:
    kind, _, data = image["image_url"]["url"].partition(";base64,")
    assert kind == "data:image/jpeg"
    return Image.open(io.BytesIO(base64.b64decode(data))).size


def message(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["choices"][0]["message"]
    return found


def test_health_needs_no_key(emulator: EmulatorHandle) -> None:
    assert httpx.get(f"{emulator.url}/cliproxy/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize("key", [CCS_KEY, "proxy-7"])
def test_each_way_to_send_a_key_is_taken(emulator: EmulatorHandle, key: str) -> None:
    url = f"{emulator.url}/cliproxy/v1/models"
    listed = {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "antigravity"}]}
    for name, value in [("authorization", f"Bearer {key}"), ("x-goog-api-key", key), ("x-api-key", key)]:
        assert httpx.get(url, headers={name: value}).json() == listed
    assert httpx.get(url, params={"key": key}).json() == listed
    assert key not in str(emulator.requests())


@pytest.mark.parametrize("path", ["/v1/models", "/v1beta/models", f"/v1beta/models/{MODEL}"])
def test_missing_and_wrong_keys_are_refused_in_the_proxys_shape(emulator: EmulatorHandle, path: str) -> None:
    url = f"{emulator.url}/cliproxy{path}"
    missing, wrong = httpx.get(url), httpx.get(url, headers={"x-goog-api-key": "AIza"})
    assert (missing.status_code, missing.json()) == (401, {"error": "Missing API key"})
    assert (wrong.status_code, wrong.json()) == (401, {"error": "Invalid API key"})


def test_paid_paths_need_a_key_too(emulator: EmulatorHandle) -> None:
    with httpx.Client(base_url=f"{emulator.url}/cliproxy") as stranger:
        assert generate(stranger).status_code == 401
        assert chat(stranger).status_code == 401
    assert emulator.bill()["paid_submissions"] == 0


def test_googles_list_of_models_names_the_same_ones(proxy: httpx.Client) -> None:
    (model,) = proxy.get("/v1beta/models").json()["models"]
    assert (model["name"], model["supportedGenerationMethods"]) == (f"models/{MODEL}", ["generateContent"])
    assert proxy.get(f"/v1beta/models/{MODEL}").json() == model
    assert proxy.get("/v1beta/models/gemini-9").status_code == 404


def test_picture_is_passed_through_in_the_size_that_was_asked_for(
    proxy: httpx.Client, emulator: EmulatorHandle
) -> None:
    assert google_size(generate(proxy, imageConfig={"aspectRatio": "16:9", "imageSize": "2K"})) == (2752, 1536)
    assert emulator.bill()["paid_submissions"] == 1
    assert emulator.bill()["items"][0]["model"] == MODEL


def test_chat_makes_a_picture_of_text_and_pictures(
    proxy: httpx.Client, emulator: EmulatorHandle, png: Callable[..., bytes]
) -> None:
    url = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
    content = [{"type": "text", "text": "repaint"}, {"type": "image_url", "image_url": {"url": url}}]
    answer = chat(proxy, content, image_config={"aspect_ratio": "21:9", "image_size": "1K"})
    (image,) = message(answer)["images"]
    assert (image["type"], image["index"], openai_size(image)) == ("image_url", 0, (1584, 672))
    shown = answer.json()
    assert (shown["object"], shown["model"], shown["choices"][0]["finish_reason"]) == ("chat.completion", MODEL, "stop")
    assert shown["usage"]["completion_tokens"] == 1120
    # the picture that was sent counts among the tokens of the prompt
    assert shown["usage"]["prompt_tokens"] > 1000
    assert emulator.bill()["paid_submissions"] == 1


def test_chat_shows_pictures_of_the_thinking_before_the_final_one(
    proxy: httpx.Client, emulator: EmulatorHandle
) -> None:
    emulator.add_fault(fault="thought_parts", match={"path_contains": "/cliproxy/"})
    said = message(chat(proxy))
    assert [image["index"] for image in said["images"]] == [0, 1]
    assert [openai_size(image) for image in said["images"]] == [(512, 512), (1024, 1024)]
    assert said["reasoning_content"] == "planning"


def test_chat_tells_googles_refusal_in_small_letters(proxy: httpx.Client) -> None:
    answer = chat(proxy, [{"type": "text", "text": "x [[fault:IMAGE_SAFETY]]"}])
    choice = answer.json()["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("image_safety", None)
    assert "images" not in choice["message"]


def test_blocked_prompt_has_no_choices(proxy: httpx.Client, emulator: EmulatorHandle) -> None:
    emulator.add_fault(fault="prompt_blocked")
    assert chat(proxy).json()["choices"] == []


def test_conversation_with_system_text_and_earlier_answers_is_understood(proxy: httpx.Client) -> None:
    earlier = message(chat(proxy))["images"][0]
    messages = [
        {"role": "system", "content": "Paint in oil."},
        {"role": "user", "content": "a cat"},
        {"role": "assistant", "content": [{"type": "text", "text": "Here."}, earlier]},
        {"role": "user", "content": [{"type": "text", "text": "now a dog"}]},
    ]
    assert len(message(chat(proxy, messages=messages))["images"]) == 1


def test_unknown_model_is_refused_by_the_proxy_itself(proxy: httpx.Client, emulator: EmulatorHandle) -> None:
    error = {
        "message": "unknown provider for model veo-3.1",
        "type": "invalid_request_error",
        "code": "model_not_found",
        "param": "model",
    }
    for answer in (generate(proxy, model="veo-3.1"), chat(proxy, model="veo-3.1")):
        assert (answer.status_code, answer.json()) == (400, {"error": error})
    assert emulator.bill()["paid_submissions"] == 0


def test_body_that_is_no_json_names_no_model(proxy: httpx.Client) -> None:
    for body in (b"", b"{", b"[]", b'"x"'):
        answer = proxy.post("/v1/chat/completions", content=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "model_not_found")


def test_googles_refusal_comes_through_unchanged(proxy: httpx.Client) -> None:
    for answer in (generate(proxy, imageConfig={"aspectRatio": "7:3"}), chat(proxy, image_config={"image_size": "8K"})):
        assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_other_models_are_scripted(proxy: httpx.Client, emulator: EmulatorHandle) -> None:
    emulator.add_fault(fault="proxy_models", models=["gemini-3-pro-image"], times=3)
    assert [model["id"] for model in proxy.get("/v1/models").json()["data"]] == ["gemini-3-pro-image"]
    assert generate(proxy).status_code == 400
    assert generate(proxy, model="gemini-3-pro-image").status_code == 200


def test_older_proxy_has_no_passthrough_but_chats(proxy: httpx.Client, emulator: EmulatorHandle) -> None:
    emulator.add_fault(fault="no_passthrough", times=2)
    refused = generate(proxy)
    assert (refused.status_code, refused.text) == (404, "404 page not found")
    assert proxy.get("/v1beta/models").status_code == 404
    assert message(chat(proxy))["images"]


def test_proxy_that_ignores_the_size_returns_one_k(proxy: httpx.Client, emulator: EmulatorHandle) -> None:
    emulator.add_fault(fault="proxy_ignores_size", times=2)
    assert google_size(generate(proxy, imageConfig={"imageSize": "4K"})) == (1024, 1024)
    (image,) = message(chat(proxy, image_config={"image_size": "4K"}))["images"]
    assert openai_size(image) == (1024, 1024)
    assert google_size(generate(proxy, imageConfig={"imageSize": "2K"})) == (2048, 2048)


def test_there_are_no_films(proxy: httpx.Client) -> None:
    for answer in (proxy.post("/v1/videos", json={"model": "veo-3.1"}), proxy.get("/v1/videos/1")):
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/plain; charset=utf-8")
    assert proxy.post(f"/v1beta/models/{MODEL}:predictLongRunning", json={}).status_code == 404


def test_lost_answer_is_on_the_bill(proxy: httpx.Client, emulator: EmulatorHandle) -> None:
    emulator.add_fault(fault="drop_after_accept")
    with pytest.raises(httpx.TransportError):
        chat(proxy)
    assert emulator.bill()["paid_submissions"] == 1
