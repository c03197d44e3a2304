"""What the surfaces of Vertex AI share: which model is served where, where media come from, what is not ready.

Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/learn/locations (checked 2026-11-21)
"""

from starlette.requests import Request

from mediagen.emulator.answers import ApiError, google_error
from mediagen.emulator.callers import Surface, surface_of
from mediagen.emulator.catalogue import PUBLISHED, EmulatedModel, at_regional_prices
from mediagen.emulator.cloud import AGENTS_PENDING, BucketSources, Sources, UploadedSources
from mediagen.emulator.faults import SUBMIT, Fault
from mediagen.emulator.models_api import find_model, version_of
from mediagen.emulator.schema import Checker
from mediagen.emulator.schema_tables import GENERATE_CONTENT, VERTEX_GENERATE_CONTENT
from mediagen.emulator.world import World


def model_path(name: str, surface: Surface) -> str:
    """Give the full name of a publisher's model."""
    return f"{surface.parent}publishers/google/models/{name}"


def publisher_model_not_found(name: str, surface: Surface) -> ApiError:
    """Build the refusal of a model that is unknown, retired, or not served in that location."""
    return google_error(
        404,
        f"Publisher Model `{model_path(name, surface)}` was not found or your project does not have access to it. "
        "Please ensure you are using a valid model version. For more information, see: "
        "https://cloud.google.com/vertex-ai/generative-ai/docs/learn/model-versions",
    )


def find_publisher_model(name: str, surface: Surface) -> EmulatedModel:
    """Find a model of Vertex AI, at the prices of the location.

    Raises:
        ApiError: It is not served there.
    """
    model = PUBLISHED.get(name)
    is_elsewhere = model is not None and bool(surface.location and model.locations)
    if model is None or (is_elsewhere and surface.location not in model.locations):
        raise publisher_model_not_found(name, surface)
    return at_regional_prices(model) if surface.is_regional else model


def find_served_model(request: Request, method: str) -> EmulatedModel:
    """Find the model of a path, on whichever surface.

    Raises:
        ApiError: It is not served there.
    """
    surface = surface_of(request)
    name = request.path_params["model"]
    return find_publisher_model(name, surface) if surface.is_vertex else find_model(name, version_of(request), method)


def generation_checker(request: Request) -> Checker:
    """Give the checker of generateContent bodies for a surface."""
    return VERTEX_GENERATE_CONTENT if surface_of(request).is_vertex else GENERATE_CONTENT


def sources_of(world: World, request: Request) -> Sources:
    """Give where a surface reads files from."""
    if surface_of(request).is_vertex:
        return BucketSources(buckets=world.buckets)
    return UploadedSources(files=world.files, host=request.url.netloc)


def refuse_unready_agents(world: World, request: Request) -> None:
    """Refuse a submission on Vertex AI while the scripted service agents are being provisioned."""
    if not surface_of(request).is_vertex:
        return
    magic: list[Fault] = request.scope.get("mediagen.magic", [])
    scripted = world.faults.take(SUBMIT, method=request.method, path=request.url.path)
    if scripted is not None or any(fault.kind in SUBMIT for fault in magic):
        raise google_error(400, AGENTS_PENDING, status="FAILED_PRECONDITION")
