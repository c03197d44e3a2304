"""A stand-in for CLIProxyAPI 7.2.99, under a prefix, because it shares paths with the Gemini API.

Source: https://github.com/router-for-me/CLIProxyAPI/tree/v7.2.99 (checked 2026-11-21)
"""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Message

from mediagen.emulator.answers import ApiError
from mediagen.emulator.cliproxy_chat import google_request, openai_answer
from mediagen.emulator.faults import magic_faults
from mediagen.emulator.generate_content import GenerateContentApi
from mediagen.emulator.traffic import newest_turn, prompt_texts
from mediagen.emulator.world import World

PREFIX = "/cliproxy"
CCS_KEY = "ccs-internal-managed"
KEY_PREFIX = "proxy-"
DEFAULT_MODELS = ("gemini-3.1-flash-image",)
# the key by which the proxy is known upstream
UPSTREAM_KEY = b"AQ.emulated-proxy"
_KEY_HEADERS = frozenset({b"authorization", b"x-goog-api-key", b"x-api-key", b"content-length"})


def cliproxy_routes(world: World) -> list[BaseRoute]:
    """Give the routes of the proxy."""
    proxy = CliProxyApi(world)
    return [
        Route(f"{PREFIX}/healthz", proxy.health, methods=["GET"]),
        Route(f"{PREFIX}/v1/models", proxy.list_openai_models, methods=["GET"]),
        Route(f"{PREFIX}/v1/chat/completions", proxy.chat, methods=["POST"]),
        Route(f"{PREFIX}/v1beta/models", proxy.list_google_models, methods=["GET"]),
        Route(f"{PREFIX}/v1beta/models/{{model}}:generateContent", proxy.generate, methods=["POST"]),
        Route(f"{PREFIX}/v1beta/models/{{model}}", proxy.get_google_model, methods=["GET"]),
        Route(f"{PREFIX}/{{rest:path}}", proxy.unknown, methods=["GET", "POST", "PUT", "DELETE", "PATCH"]),
    ]


class CliProxyApi:
    """Answers with the accounts of somebody who logged in, here the emulator's own models."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._upstream = GenerateContentApi(world)

    async def health(self, _request: Request) -> Response:
        """GET healthz: that it is there; needs no key."""
        return JSONResponse({"status": "ok"})

    async def list_openai_models(self, request: Request) -> Response:
        """GET v1/models: the models of the accounts, the way OpenAI lists them."""
        _check_key(request)
        models = [{"id": name, "object": "model", "owned_by": "antigravity"} for name in self._models(request)]
        return JSONResponse({"object": "list", "data": models})

    async def list_google_models(self, request: Request) -> Response:
        """GET v1beta/models: the models of the accounts, the way Google lists them."""
        if self._has("no_passthrough", request):
            return _no_route()
        _check_key(request)
        return JSONResponse({"models": [_google_model(name) for name in self._models(request)]})

    async def get_google_model(self, request: Request) -> Response:
        """GET v1beta/models/M: one model."""
        if self._has("no_passthrough", request):
            return _no_route()
        _check_key(request)
        name = request.path_params["model"]
        if name not in self._models(request):
            return JSONResponse({"error": {"message": "Not Found", "type": "not_found"}}, status_code=404)
        return JSONResponse(_google_model(name))

    async def generate(self, request: Request) -> Response:
        """POST v1beta/models/M:generateContent: hand the call on as it is. Costs the account's owner."""
        if self._has("no_passthrough", request):
            return _no_route()
        _check_key(request)
        return await self._hand_on(request, request.path_params["model"], await _read_object(request))

    async def chat(self, request: Request) -> Response:
        """POST v1/chat/completions: hand the call on in Google's words. Costs the account's owner."""
        _check_key(request)
        body = await _read_object(request)
        answer = await self._hand_on(request, str(body.get("model") or ""), google_request(body))
        if not isinstance(answer, JSONResponse):
            return answer
        return JSONResponse(openai_answer(json.loads(bytes(answer.body))))

    async def unknown(self, _request: Request) -> Response:
        """Answer any other path as its web framework does: no films here."""
        return _no_route()

    async def _hand_on(self, request: Request, model: str, body: dict[str, Any]) -> Response:
        if model not in self._models(request):
            raise _unknown_model(model)
        if self._has("proxy_ignores_size", request):
            _forget_size(body)
        return await self._upstream.generate(_upstream_request(request, model, body))

    def _models(self, request: Request) -> tuple[str, ...]:
        fault = self._world.faults.take(frozenset({"proxy_models"}), method=request.method, path=request.url.path)
        return tuple(map(str, fault.parameters.get("models", ()))) if fault else DEFAULT_MODELS

    def _has(self, kind: str, request: Request) -> bool:
        fault = self._world.faults.take(frozenset({kind}), method=request.method, path=request.url.path)
        return fault is not None


def _check_key(request: Request) -> None:
    """Refuse a call without a key that the proxy knows; one good key among several is enough.

    Raises:
        ApiError: 401.
    """
    headers, query = request.headers, request.query_params
    scheme, _, token = headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" and token else headers.get("authorization", "")
    given = [bearer, headers.get("x-goog-api-key"), headers.get("x-api-key"), query.get("key")]
    keys = [key for key in given if key]
    if not keys:
        raise ApiError(401, {"error": "Missing API key"})
    if not any(key == CCS_KEY or key.startswith(KEY_PREFIX) for key in keys):
        raise ApiError(401, {"error": "Invalid API key"})


async def _read_object(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except ValueError:
        body = None
    # the proxy reads field by field: what it cannot read is simply not there
    return body if isinstance(body, dict) else {}


def _unknown_model(name: str) -> ApiError:
    message = f"unknown provider for model {name}"
    error = {"message": message, "type": "invalid_request_error", "code": "model_not_found", "param": "model"}
    return ApiError(400, {"error": error})


def _no_route() -> Response:
    return PlainTextResponse("404 page not found", status_code=404)


def _google_model(name: str) -> dict[str, Any]:
    title = " ".join(word.capitalize() for word in name.split("-"))
    return {
        "name": f"models/{name}",
        "displayName": title,
        "description": title,
        "supportedGenerationMethods": ["generateContent"],
        "supportedInputModalities": ["text", "image"],
        "supportedOutputModalities": ["text", "image"],
    }


def _forget_size(body: dict[str, Any]) -> None:
    for config_name in ("generationConfig", "generation_config"):
        for picture_name in ("imageConfig", "image_config"):
            picture = (body.get(config_name) or {}).get(picture_name) or {}
            picture.pop("imageSize", None)
            picture.pop("image_size", None)


def _upstream_request(request: Request, model: str, body: dict[str, Any]) -> Request:
    """Make the request that the proxy sends upstream: the same path for the faults' sake, its own key and body."""
    content = json.dumps(body).encode()
    headers = [(name, value) for name, value in request.scope["headers"] if name not in _KEY_HEADERS]
    scope = {
        **request.scope,
        "path_params": {"model": model},
        "query_string": b"",
        "headers": [*headers, (b"x-goog-api-key", UPSTREAM_KEY), (b"content-length", str(len(content)).encode())],
        "mediagen.magic": magic_faults(prompt_texts(newest_turn(body))),
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": content, "more_body": False}

    return Request(scope, receive)
