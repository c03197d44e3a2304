"""The endpoints that describe models and count tokens; all free."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mediagen.emulator.answers import ApiError, bad_request, google_error
from mediagen.emulator.callers import check_caller
from mediagen.emulator.catalogue import (
    BY_NAME,
    INPUT_IMAGE_TOKENS,
    MODELS,
    RETIRED,
    EmulatedModel,
    ImageModel,
    VideoModel,
)
from mediagen.emulator.paging import page
from mediagen.emulator.reading import read_json
from mediagen.emulator.schema import snake_keys
from mediagen.emulator.schema_tables import GENERATE_CONTENT


def find_model(name: str, version: str, method: str) -> EmulatedModel:
    """Find a model by name.

    Raises:
        ApiError: It is unknown or retired.
    """
    if name in RETIRED:
        raise google_error(
            404,
            f"This model models/{name} is no longer available. Please update your code to use a newer model for the "
            "latest features and improvements.",
        )
    model = BY_NAME.get(name)
    if model is None:
        raise model_not_found(name, version, method)
    return model


def model_not_found(name: str, version: str, method: str) -> ApiError:
    """Build Google's refusal of a model that does not exist."""
    return google_error(
        404,
        f"models/{name} is not found for API version {version}, or is not supported for {method}. "
        "Call ListModels to see the list of available models and their supported methods.",
    )


def model_json(model: EmulatedModel) -> dict[str, Any]:
    """Show a model the way Google does."""
    return {
        "name": f"models/{model.name}",
        "version": model.name.rsplit("-", 1)[-1],
        "displayName": model.display_name,
        "description": f"{model.display_name} (emulated)",
        "inputTokenLimit": 131_072,
        "outputTokenLimit": 32_768,
        "supportedGenerationMethods": _methods(model),
        "temperature": 1,
        "topP": 0.95,
        "topK": 64,
        "maxTemperature": 2,
        "thinking": isinstance(model, ImageModel),
    }


def _methods(model: EmulatedModel) -> list[str]:
    if isinstance(model, VideoModel):
        return ["interactions"]
    batches = ["batchGenerateContent"] if isinstance(model, ImageModel) else []
    return ["generateContent", "countTokens", *batches]


def version_of(request: Request) -> str:
    """Give the API version in the path."""
    return request.url.path.split("/")[1]


async def list_models(request: Request) -> Response:
    """GET models: one page of the models."""
    check_caller(request)
    return JSONResponse(page(request, [model_json(model) for model in MODELS], "models", default=50, most=1000))


async def get_model(request: Request) -> Response:
    """GET models/M: one model."""
    check_caller(request)
    return JSONResponse(model_json(find_model(request.path_params["model"], version_of(request), "getModel")))


async def count_tokens(request: Request) -> Response:
    """POST models/M:countTokens: how long a prompt is."""
    body = await read_json(request)
    violations = GENERATE_CONTENT.check(body, "CountTokensRequest")
    if violations:
        raise bad_request(violations)
    check_caller(request)
    find_model(request.path_params["model"], version_of(request), "countTokens")
    plain = snake_keys(body)
    contents = plain.get("contents") or plain.get("generate_content_request", {}).get("contents")
    if not contents:
        raise google_error(400, "* CountTokensRequest.contents: contents is not specified\n")
    tokens = token_count(contents)
    return JSONResponse({"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]})


def token_count(contents: Any) -> int:
    """Estimate the tokens of contents: four characters of text a token, a flat rate a picture."""
    contents = contents if isinstance(contents, list) else [contents]
    parts = [part for content in contents for part in as_list(content.get("parts"))]
    text = sum(len(part.get("text") or "") for part in parts)
    media = sum(1 for part in parts if part.get("inline_data") or part.get("file_data"))
    return max(1, text // 4) + media * INPUT_IMAGE_TOKENS


def as_list(value: Any) -> list[Any]:
    """Give a list, also for a single value or none."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
