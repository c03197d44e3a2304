"""The endpoints of Vertex AI that describe models and count tokens; all free."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mediagen.emulator.answers import bad_request, google_error
from mediagen.emulator.callers import Surface, check_caller, surface_of
from mediagen.emulator.catalogue import PUBLISHED, EmulatedModel, VeoModel
from mediagen.emulator.models_api import token_count
from mediagen.emulator.paging import page
from mediagen.emulator.publisher import find_publisher_model, model_path
from mediagen.emulator.reading import read_json
from mediagen.emulator.schema import snake_keys
from mediagen.emulator.schema_tables import VERTEX_GENERATE_CONTENT


def publisher_model_json(model: EmulatedModel) -> dict[str, Any]:
    """Show a publisher's model the way Google does."""
    return {
        "name": model_path(model.name, Surface()),
        "versionId": "default",
        "openSourceCategory": "PROPRIETARY",
        "launchStage": model.launch_stage if isinstance(model, VeoModel) else "GA",
        "publisherModelTemplate": (
            f"projects/{{user-project}}/locations/{{location}}/publishers/google/models/{model.name}@default"
        ),
        "supportedActions": {},
    }


async def list_publisher_models(request: Request) -> Response:
    """GET publishers/google/models: one page of the models."""
    check_caller(request)
    shown = [publisher_model_json(model) for model in PUBLISHED.values()]
    return JSONResponse(page(request, shown, "publisherModels", default=100, most=300))


async def get_publisher_model(request: Request) -> Response:
    """GET publishers/google/models/M: one model."""
    check_caller(request)
    return JSONResponse(publisher_model_json(find_publisher_model(request.path_params["model"], Surface())))


async def count_publisher_tokens(request: Request) -> Response:
    """POST publishers/google/models/M:countTokens: how long a prompt is."""
    body = await read_json(request)
    violations = VERTEX_GENERATE_CONTENT.check(body, "CountTokensRequest")
    if violations:
        raise bad_request(violations)
    check_caller(request)
    find_publisher_model(request.path_params["model"], surface_of(request))
    contents = snake_keys(body).get("contents")
    if not contents:
        raise google_error(400, "Unable to submit request because at least one contents field is required.")
    tokens = token_count(contents)
    return JSONResponse({"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]})


async def no_operation_by_name(_request: Request) -> Response:
    """GET of an operation's name: Google's front end knows no such address."""
    text = "<!DOCTYPE html><html><title>Error 404 (Not Found)!!1</title><p><b>404.</b> That's an error.</html>"
    return Response(text, status_code=404, media_type="text/html")
