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
from mediagen.emulator.files_api import FilesApi
from mediagen.emulator.generate_content import GenerateContentApi
from mediagen.emulator.interactions_api import InteractionsApi
from mediagen.emulator.models_api import count_tokens, get_model, list_models
from mediagen.emulator.settings import EmulatorSettings
from mediagen.emulator.traffic import Gate
from mediagen.emulator.world import World

VERSIONS = ("v1", "v1beta")


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
    app = Starlette(
        routes=[*routes, *_admin_routes(world)],
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
    return [
        Route(f"/{version}/models", list_models, methods=["GET"]),
        Route(f"/{version}/models/{{model}}:generateContent", pictures.generate, methods=["POST"]),
        Route(f"/{version}/models/{{model}}:countTokens", count_tokens, methods=["POST"]),
        Route(f"/{version}/models/{{model}}", get_model, methods=["GET"]),
        Route(f"/{version}/interactions", interactions.create, methods=["POST"]),
        Route(f"/{version}/interactions/{{interaction_id}}", interactions.get, methods=["GET"]),
        Route(f"/{version}/interactions/{{interaction_id}}", interactions.delete, methods=["DELETE"]),
        Route(f"/{version}/interactions/{{interaction_id}}/cancel", interactions.cancel, methods=["POST"]),
        Route(f"/upload/{version}/files", files.start_upload, methods=["POST", "PUT"]),
        Route(f"/{version}/files", files.list_files, methods=["GET"]),
        Route(f"/{version}/files/{{file_id}}:download", files.download, methods=["GET"]),
        Route(f"/{version}/files/{{file_id}}", files.get_file, methods=["GET"]),
        Route(f"/{version}/files/{{file_id}}", files.delete_file, methods=["DELETE"]),
    ]


def _admin_routes(world: World) -> list[BaseRoute]:
    admin = Admin(world)
    return [
        Route("/emulator/", admin.health, methods=["GET"]),
        Route("/emulator/bill", admin.bill, methods=["GET"]),
        Route("/emulator/requests", admin.requests, methods=["GET"]),
        Route("/emulator/files", admin.files, methods=["GET"]),
        Route("/emulator/faults", admin.list_faults, methods=["GET"]),
        Route("/emulator/faults", admin.add_fault, methods=["POST"]),
        Route("/emulator/faults", admin.clear_faults, methods=["DELETE"]),
        Route("/emulator/reset", admin.reset, methods=["POST"]),
        Route("/emulator/elsewhere/{version}/files/{file_id}:download", admin.elsewhere, methods=["GET"]),
    ]
