"""Turns OpenAI's chat completions into Google's generateContent and back, the way CLIProxyAPI does.

Source: https://github.com/router-for-me/CLIProxyAPI/blob/v7.2.99/internal/translator/gemini/openai/chat-completions
(checked 2026-11-21)
"""

from typing import Any

JsonObject = dict[str, Any]
_MODALITIES = {"text": "TEXT", "image": "IMAGE"}
_SIGNATURE = "skip_thought_signature_validator"
_DATA = "data:"
_BASE64 = "base64,"
_NUMBERS = {"temperature": "temperature", "top_p": "topP", "top_k": "topK", "max_tokens": "maxOutputTokens"}


def google_request(body: JsonObject) -> JsonObject:
    """Give the body that Google receives; what the proxy does not understand is left out."""
    config: JsonObject = {target: body[name] for name, target in _NUMBERS.items() if _is_number(body.get(name))}
    words = [str(word).lower() for word in as_list(body.get("modalities"))]
    if modalities := [_MODALITIES[word] for word in words if word in _MODALITIES]:
        config["responseModalities"] = modalities
    wanted = body.get("image_config")
    if isinstance(wanted, dict):
        names = {"aspect_ratio": "aspectRatio", "image_size": "imageSize"}
        picture = {target: wanted[name] for name, target in names.items() if isinstance(wanted.get(name), str)}
        config |= {"imageConfig": picture} if picture else {}
    asked: JsonObject = {"contents": _contents(as_list(body.get("messages")))}
    if system := _system(as_list(body.get("messages"))):
        asked["systemInstruction"] = {"role": "user", "parts": system}
    return asked | {"generationConfig": config} if config else asked


def _contents(messages: list[Any]) -> list[JsonObject]:
    contents = []
    for message in messages:
        if not isinstance(message, dict):
            continue
        role = message.get("role")
        if role == "assistant":
            contents.append({"role": "model", "parts": _parts(message.get("content"))})
        elif role == "user" or (role in {"system", "developer"} and len(messages) == 1):
            contents.append({"role": "user", "parts": _parts(message.get("content"))})
    return contents


def _system(messages: list[Any]) -> list[JsonObject]:
    if len(messages) == 1:
        return []
    spoken = [message for message in messages if isinstance(message, dict)]
    return [
        part
        for message in spoken
        if message.get("role") in {"system", "developer"}
        for part in _parts(message.get("content"))
    ]


def _parts(content: Any) -> list[JsonObject]:
    if isinstance(content, str):
        return [{"text": content}]
    items = [item for item in as_list(content) if isinstance(item, dict)]
    return [part for part in map(_part, items) if part is not None]


def _part(item: JsonObject) -> JsonObject | None:
    if item.get("type") == "text" and item.get("text"):
        return {"text": item["text"]}
    if item.get("type") != "image_url" or not isinstance(item.get("image_url"), dict):
        return None
    # an address that is no data URL is dropped without a word
    kind, found, data = str(item["image_url"].get("url") or "").removeprefix(_DATA).partition(";")
    if not found or not data.startswith(_BASE64):
        return None
    inline = {"mimeType": kind, "data": data.removeprefix(_BASE64)}
    return {"inlineData": inline, "thoughtSignature": _SIGNATURE}


def openai_answer(answer: JsonObject) -> JsonObject:
    """Give the chat completion made of Google's answer."""
    usage = answer.get("usageMetadata", {})
    return {
        "id": answer.get("responseId", ""),
        "object": "chat.completion",
        "created": 0,
        "model": answer.get("modelVersion", "model"),
        "choices": [_choice(candidate) for candidate in answer.get("candidates", [])],
        "usage": {
            "completion_tokens": usage.get("candidatesTokenCount", 0),
            "total_tokens": usage.get("totalTokenCount", 0),
            "prompt_tokens": usage.get("promptTokenCount", 0),
        },
    }


def _choice(candidate: JsonObject) -> JsonObject:
    parts = candidate.get("content", {}).get("parts", [])
    message: JsonObject = {"role": "assistant", "content": None, "reasoning_content": None, "tool_calls": None}
    if any("text" in part and not part.get("thought") for part in parts):
        message["content"] = "".join(part.get("text", "") for part in parts if not part.get("thought"))
    if any("text" in part and part.get("thought") for part in parts):
        message["reasoning_content"] = "".join(part.get("text", "") for part in parts if part.get("thought"))
    # pictures of the thinking are not told apart: the last one is the answer
    inline = [part["inlineData"] for part in parts if part.get("inlineData", {}).get("data")]
    if inline:
        message["images"] = [_image(index, found) for index, found in enumerate(inline)]
    reason = str(candidate.get("finishReason", "")).lower() or None
    return {
        "index": candidate.get("index", 0),
        "message": message,
        "finish_reason": reason,
        "native_finish_reason": reason,
    }


def _image(index: int, inline: JsonObject) -> JsonObject:
    url = f"{_DATA}{inline.get('mimeType') or 'image/png'};{_BASE64}{inline['data']}"
    return {"type": "image_url", "image_url": {"url": url}, "index": index}


def as_list(value: Any) -> list[Any]:
    """Give a list, or none of its items when it is something else."""
    return value if isinstance(value, list) else []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
