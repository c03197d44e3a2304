"""generateContent over raw HTTP: strictness, sizes, determinism."""

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from mediagen.emulator.catalogue import BASE_PIXELS, SIZE_FACTORS, picture_size
from mediagen.emulator.thread import EmulatorHandle

MODEL = "gemini-nano-banana-2.1"
CONTENTS = [{"role": "user", "parts": [{"text": "a cat"}]}]


def image_config(**config: str) -> dict[str, Any]:
    return {"generationConfig": {"imageConfig": config}}


def media(mime_type: str, data: str) -> dict[str, Any]:
    return {"contents": [{"parts": [{"inlineData": {"mimeType": mime_type, "data": data}}]}]}


def generate(client: httpx.Client, model: str = MODEL, version: str = "v1", **body: Any) -> httpx.Response:
    return client.post(f"/{version}/models/{model}:generateContent", json={"contents": CONTENTS} | body)


def picture_of(answer: httpx.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    parts = answer.json()["candidates"][0]["content"]["parts"]
    return Image.open(io.BytesIO(base64.b64decode(parts[-1]["inlineData"]["data"])))


def violations(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["status"] == "INVALID_ARGUMENT"
    listed: list[dict[str, str]] = error["details"][0]["fieldViolations"]
    return listed


@pytest.mark.parametrize(
    ("ratio", "size", "pixels"),
    [
        ("16:9", "1K", (1376, 768)),
        ("1:1", "512", (512, 512)),
        ("9:16", "2K", (1536, 2752)),
        ("8:1", "512", (1536, 192)),
    ],
)
def test_picture_has_googles_pixel_size(client: httpx.Client, ratio: Any, size: Any, pixels: Any) -> None:
    config = {"imageConfig": {"aspectRatio": ratio, "imageSize": size}}
    answer = generate(client, generationConfig=config)
    assert picture_of(answer).size == pixels
    assert answer.json()["candidates"][0]["content"]["parts"][-1]["inlineData"]["mimeType"] == "image/jpeg"


def test_picture_sizes_scale_with_the_size_word() -> None:
    for ratio, (width, height) in BASE_PIXELS.items():
        for word, factor in SIZE_FACTORS.items():
            assert picture_size(ratio, word) == (width * factor, height * factor)


def test_same_request_gives_the_same_bytes_and_another_prompt_others(client: httpx.Client) -> None:
    def data(**body: Any) -> str:
        parts = generate(client, **body).json()["candidates"][0]["content"]["parts"]
        return str(parts[-1]["inlineData"]["data"])

    assert data() == data()
    assert data() != data(contents=[{"parts": [{"text": "a dog"}]}])


def test_ratio_follows_the_first_input_and_its_colours_show(
    client: httpx.Client, png: Callable[..., bytes], b64: Callable[[bytes], str]
) -> None:
    wide = {"inlineData": {"mimeType": "image/png", "data": b64(png("red", (420, 180)))}}
    picture = picture_of(generate(client, contents=[{"parts": [wide, {"text": "more of this"}]}]))
    assert picture.size == (1584, 672)
    # the thumbnail of the red input lies in the upper left corner
    red, green, blue = picture.convert("RGB").getpixel((60, 60))  # type: ignore[misc] # RGB gives three
    assert (red > 200, green < 60, blue < 60) == (True, True, True)


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"generationConfig": {"imagConfig": {}}}, "generation_config", 'Unknown name "imagConfig" at'),
        ({"sentinel": 1}, "", 'Unknown name "sentinel": Cannot find field.'),
        ({"contents": [{"parts": [{"txt": "x"}]}]}, "contents[0].parts[0]", 'Unknown name "txt"'),
        (image_config(personGeneration="ALLOW_ALL"), "generation_config.image_config", "Unknown"),
        ({"generationConfig": {"seed": "x"}}, "generation_config.seed", "TYPE_INT32"),
        (
            {"generationConfig": {"thinkingConfig": {"thinkingLevel": "EXTREME"}}},
            "generation_config.thinking_config.thinking_level",
            "ThinkingLevel",
        ),
        (
            {"generationConfig": {"responseFormat": {"image": {"aspectRatio": "16:9"}}}},
            "generation_config.response_format.image.aspect_ratio",
            "ImageResponseFormat.AspectRatio",
        ),
        (image_config(imageSize="2k"), "generation_config.image_config.image_size", "2k"),
        (image_config(aspectRatio="7:3"), "generation_config.image_config.aspect_ratio", "7:3"),
        (
            {"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "NO"}]},
            "safety_settings[0].threshold",
            "HarmBlockThreshold",
        ),
    ],
)
def test_wrong_field_is_refused_by_name(
    client: httpx.Client, emulator: EmulatorHandle, body: Any, field: Any, words: Any
) -> None:
    refused = violations(generate(client, **body))
    assert refused[0]["field"] == field
    assert words in refused[0]["description"]
    assert emulator.bill()["paid_submissions"] == 0


def test_all_wrong_fields_are_listed_at_once_before_the_key_is_looked_at(emulator: EmulatorHandle) -> None:
    answer = httpx.post(f"{emulator.url}/v1/models/{MODEL}:generateContent", json={"a": 1, "b": 2})
    assert len(violations(answer)) == 2


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_snake_case_and_proto_enum_words_are_accepted(client: httpx.Client, version: Any) -> None:
    typed = {"image": {"aspect_ratio": "ASPECT_RATIO_SIXTEEN_BY_NINE", "image_size": "IMAGE_SIZE_FIVE_TWELVE"}}
    answer = generate(client, version=version, generation_config={"response_format": typed, "seed": 3})
    assert picture_of(answer).size == (688, 384)


@pytest.mark.parametrize(
    ("model", "status_code", "words"),
    [
        ("gemini-9-image", 404, "models/gemini-9-image is not found for API version v1, or is not supported for"),
        ("gemini-2.5-flash-image", 404, "is no longer available"),
        ("veo-3.1-generate-preview", 404, "is no longer available"),
        ("gemini-omni-1.2-flash", 400, "This model only supports Interactions API."),
    ],
)
def test_model_that_cannot_is_refused(client: httpx.Client, model: Any, status_code: Any, words: Any) -> None:
    answer = generate(client, model)
    assert answer.status_code == status_code
    assert words in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"contents": []}, "contents is not specified"),
        ({"contents": [{"parts": []}]}, "must not be empty"),
        ({"contents": [{"parts": [{}]}]}, "must have one initialized field"),
        ({"contents": [{"role": "system", "parts": [{"text": "x"}]}]}, "valid role"),
        (media("image/png", "AAAA"), "Unable to process"),
        (media("image/png", "@@"), "Base64 decoding failed"),
        (media("application/zip", "AAAA"), "MIME type"),
        ({"tools": [{"functionDeclarations": [{"name": "f"}]}]}, "Function calling is not enabled"),
        ({"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}}, "not supported for this model"),
        ({"generationConfig": {"candidateCount": 2}}, "Multiple candidates"),
        ({"generationConfig": {"responseModalities": ["VIDEO"]}}, "response modalities"),
    ],
)
def test_what_the_model_cannot_do_is_refused(
    client: httpx.Client, emulator: EmulatorHandle, body: Any, words: Any
) -> None:
    answer = generate(client, **body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
    assert emulator.bill()["paid_submissions"] == 0


def test_too_many_inputs_and_unsigned_model_turns_are_refused(
    client: httpx.Client, png: Callable[..., bytes], b64: Callable[[bytes], str]
) -> None:
    part = {"inlineData": {"mimeType": "image/png", "data": b64(png())}}
    assert "At most 14" in generate(client, contents=[{"parts": [part] * 15}]).json()["error"]["message"]
    turns = [*CONTENTS, {"role": "model", "parts": [part]}, *CONTENTS]
    assert "thought_signature" in generate(client, contents=turns).json()["error"]["message"]


def test_lite_model_makes_one_size_only(client: httpx.Client) -> None:
    config = {"imageConfig": {"imageSize": "2K"}}
    assert generate(client, "gemini-3.1-flash-lite-image", generationConfig=config).status_code == 400


def test_file_uri_must_be_known_and_foreign_ones_are_taken_on_trust(
    client: httpx.Client, clips: Any, png: Callable[..., bytes]
) -> None:
    def ask(uri: str) -> httpx.Response:
        part = {"fileData": {"fileUri": uri, "mimeType": "image/png"}}
        return generate(client, contents=[{"parts": [part, {"text": "x"}]}])

    file = clips.upload(png("blue", (180, 420)), "image/png")
    assert picture_of(ask(file["uri"])).size == (768, 1376)
    assert ask("https://example.com/cat.png").status_code == 200
    assert ask("https://generativelanguage.googleapis.com/v1beta/files/abc123").status_code == 403
    assert ask("gs://bucket/cat.png").status_code == 400


@pytest.mark.parametrize(
    ("headers", "status_code", "words"),
    [
        ({}, 403, "unregistered callers"),
        ({"x-goog-api-key": "invalid"}, 400, "API key not valid"),
        ({"x-goog-api-key": "bad-key"}, 400, "API key not valid"),
        ({"authorization": "Bearer AQ.x"}, 401, "invalid authentication credentials"),
    ],
)
def test_key_is_checked(emulator: EmulatorHandle, headers: Any, status_code: Any, words: Any) -> None:
    for path in ("/v1/models", "/v1/files", "/v1/interactions/v1_x"):
        answer = httpx.get(emulator.url + path, headers=headers)
        assert answer.status_code == status_code
        assert words in answer.json()["error"]["message"]


def test_key_in_the_query_is_accepted_and_never_logged(emulator: EmulatorHandle) -> None:
    assert httpx.get(f"{emulator.url}/v1/models?key=topsecret").status_code == 200
    httpx.get(f"{emulator.url}/v1/models", headers={"x-goog-api-key": "topsecret"})
    assert "topsecret" not in json.dumps(emulator.requests())


def test_answer_has_the_captured_shape_and_its_cost_is_on_the_bill(
    client: httpx.Client, emulator: EmulatorHandle
) -> None:
    answer = generate(client).json()
    assert set(answer) == {"candidates", "usageMetadata", "modelVersion", "responseId"}
    candidate = answer["candidates"][0]
    assert (candidate["finishReason"], candidate["index"]) == ("STOP", 0)
    assert [set(part) for part in candidate["content"]["parts"]] == [{"text"}, {"inlineData", "thoughtSignature"}]
    bill = emulator.bill()
    assert bill["paid_submissions"] == 1
    assert bill["items"][0] | {"at": ""} == {
        "model": MODEL,
        "kind": "image",
        "operation": answer["responseId"],
        "task": "generate_content",
        "usd": bill["usd"],
        "at": "",
    }
    assert bill["usd"] == "0.0336015"


def test_recorded_request_shows_the_body_with_base64_cut(
    client: httpx.Client, emulator: EmulatorHandle, png: Callable[..., bytes], b64: Callable[[bytes], str]
) -> None:
    part = {"inlineData": {"mimeType": "image/png", "data": b64(png(size=(600, 600)))}}
    generate(client, contents=[{"parts": [part, {"text": "a cat"}]}])
    recorded = emulator.requests()[-1]
    assert recorded["body"]["contents"][0]["parts"][0]["inlineData"]["data"].endswith("characters)")
    assert len(recorded["body_sha256"]) == 64
    assert client.get("/emulator/requests").json() == emulator.requests()


@pytest.mark.parametrize("path", ["/v1/nothing", "/v2/models"])
def test_unknown_path_is_a_google_404(client: httpx.Client, path: Any) -> None:
    assert client.get(path).json()["error"]["status"] == "NOT_FOUND"


def test_package_imports_nothing_of_the_product_but_errors() -> None:
    import mediagen.emulator

    folder = Path(str(mediagen.emulator.__file__)).parent
    imports = {
        line.split()[1]
        for path in folder.glob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip().startswith(("from mediagen", "import mediagen"))
    }
    assert {name for name in imports if not name.startswith("mediagen.emulator")} == {"mediagen.errors"}
