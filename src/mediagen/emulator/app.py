"""Puts the emulator together as a web application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route

from mediagen.emulator.admin import Admin
from mediagen.emulator.answers import ApiError, answer_api_error, answer_unknown_path
from mediagen.emulator.batches_api import BatchesApi
from mediagen.emulator.buckets_api import bucket_routes
from mediagen.emulator.cliproxy_api import cliproxy_routes
from mediagen.emulator.files_api import FilesApi
from mediagen.emulator.generate_content import GenerateContentApi
from mediagen.emulator.interactions_api import InteractionsApi
from mediagen.emulator.models_api import count_tokens, get_model, list_models
from mediagen.emulator.oauth import TokenApi
from mediagen.emulator.publisher_api import (
    count_publisher_tokens,
    get_publisher_model,
    list_publisher_models,
    no_operation_by_name,
)
from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.traffic import Gate
from mediagen.emulator.veo_api import VeoApi, predict_on_gemini
from mediagen.emulator.world import World

VERSIONS = ("v1", "v1beta")
PROJECT_PATH = "/v1beta1/projects/{project}/locations/{location}"
EXPRESS_PATH = "/v1beta1"


def create_app(settings: EmulatorSettings) -> Starlette:
    """Build the emulator's web application; ``app.state.world`` is its state."""
    world = World(settings)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        started, stop = anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.run, started, stop)
            await started.wait()
            try:
                yield
            finally:
                stop.set()
        world.close()

    routes = [route for version in VERSIONS for route in _api_routes(world, version)]
    routes += [route for prefix in (PROJECT_PATH, EXPRESS_PATH) for route in _vertex_routes(world, prefix)]
    routes += _publisher_routes(world)
    app = Starlette(
        routes=[*routes, *bucket_routes(world), *cliproxy_routes(world), *_admin_routes(world)],
        middleware=[Middleware(Gate, world=world)],
        exception_handlers={ApiError: answer_api_error, HTTPException: answer_unknown_path},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.world = world
    return app


def _api_routes(world: World, version: str) -> list[BaseRoute]:
    files = FilesApi(world)
    interactions = InteractionsApi(world)
    pictures = GenerateContentApi(world)
    batches = BatchesApi(world)
    return [
        Route(f"/{version}/models", list_models, methods=["GET"]),
        Route(f"/{version}/models/{{model}}:generateContent", pictures.generate, methods=["POST"]),
        Route(f"/{version}/models/{{model}}:predictLongRunning", predict_on_gemini, methods=["POST"]),
        Route(f"/{version}/models/{{model}}:batchGenerateContent", batches.create, methods=["POST"]),
        Route(f"/{version}/batches", batches.list, methods=["GET"]),
        Route(f"/{version}/batches/{{batch_id}}:cancel", batches.cancel, methods=["POST"]),
        Route(f"/{version}/batches/{{batch_id}}", batches.get, methods=["GET"]),
        Route(f"/{version}/batches/{{batch_id}}", batches.delete, methods=["DELETE"]),
        Route(f"/{version}/models/{{model}}:countTokens", count_tokens, methods=["POST"]),
        Route(f"/{version}/models/{{model}}", get_model, methods=["GET"]),
        *_interaction_routes(interactions, f"/{version}"),
        Route(f"/upload/{version}/files", files.start_upload, methods=["POST", "PUT"]),
        Route(f"/{version}/files", files.list_files, methods=["GET"]),
        Route(f"/{version}/files/{{file_id}}:download", files.download, methods=["GET"]),
        Route(f"/{version}/files/{{file_id}}", files.get_file, methods=["GET"]),
        Route(f"/{version}/files/{{file_id}}", files.delete_file, methods=["DELETE"]),
    ]


def _interaction_routes(interactions: InteractionsApi, prefix: str) -> list[BaseRoute]:
    return [
        Route(f"{prefix}/interactions", interactions.create, methods=["POST"]),
        Route(f"{prefix}/interactions/{{interaction_id}}", interactions.get, methods=["GET"]),
        Route(f"{prefix}/interactions/{{interaction_id}}", interactions.delete, methods=["DELETE"]),
        Route(f"{prefix}/interactions/{{interaction_id}}/cancel", interactions.cancel, methods=["POST"]),
    ]


def _vertex_routes(world: World, prefix: str) -> list[BaseRoute]:
    """Give the routes under a project and location, or, in express mode, under none."""
    pictures, films = GenerateContentApi(world), VeoApi(world)
    model = f"{prefix}/publishers/google/models/{{model}}"
    return [
        Route(f"{model}:generateContent", pictures.generate, methods=["POST"]),
        Route(f"{model}:countTokens", count_publisher_tokens, methods=["POST"]),
        Route(f"{model}:predictLongRunning", films.predict, methods=["POST"]),
        Route(f"{model}:fetchPredictOperation", films.fetch, methods=["POST"]),
        Route(f"{model}/operations/{{operation}}", no_operation_by_name, methods=["GET"]),
        *_interaction_routes(InteractionsApi(world), prefix),
    ]


def _publisher_routes(world: World) -> list[BaseRoute]:
    return [
        Route("/v1beta1/publishers/google/models", list_publisher_models, methods=["GET"]),
        Route("/v1beta1/publishers/google/models/{model}", get_publisher_model, methods=["GET"]),
        Route("/token", TokenApi(world).token, methods=["POST"]),
    ]


def _admin_routes(world: World) -> list[BaseRoute]:
    admin = Admin(world)
    return [
        Route("/emulator/", admin.health, methods=["GET"]),
        Route("/emulator/bill", admin.bill, methods=["GET"]),
        Route("/emulator/requests", admin.requests, methods=["GET"]),
        Route("/emulator/files", admin.files, methods=["GET"]),
        Route("/emulator/interactions", admin.interactions, methods=["GET"]),
        Route("/emulator/faults", admin.list_faults, methods=["GET"]),
        Route("/emulator/faults", admin.add_fault, methods=["POST"]),
        Route("/emulator/faults", admin.clear_faults, methods=["DELETE"]),
        Route("/emulator/service_accounts", admin.add_service_account, methods=["POST"]),
        Route("/emulator/users", admin.add_user, methods=["POST"]),
        Route("/emulator/age", admin.age, methods=["POST"]),
        Route("/emulator/reset", admin.reset, methods=["POST"]),
        Route("/emulator/elsewhere/{version}/files/{file_id}:download", admin.elsewhere, methods=["GET"]),
    ]
