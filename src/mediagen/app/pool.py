"""One endpoint per address and profile, opened on first use and shared by all jobs that were sent there."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from mediagen.app.local_emulator import emulator_url
from mediagen.app.projects import EMULATOR_CREDENTIALS, ConfiguredProjects
from mediagen.catalog import Surface
from mediagen.credentials import Credential, Identity, key_hint
from mediagen.endpoints.base import Endpoint
from mediagen.errors import AuthenticationError, MediaGenError
from mediagen.generator.policy import Project
from mediagen.jobs import Job
from mediagen.media.inputs import MAX_VIDEO_BYTES
from mediagen.routing import Route
from mediagen.storage.local import PartFile
from mediagen.submitter.base import Submitter

if TYPE_CHECKING:
    from mediagen.endpoints.gemini_api import GeminiApi
    from mediagen.endpoints.http import HttpSettings
    from mediagen.storage.gcs import CloudStorage

PROJECT_OF_ADDRESS = re.compile(r"/projects/([^/]+)/locations/")
# How credentials are called in messages.
KINDS = {
    "api_key": "the API key from {source}",
    "express_key": "the express key from {source}",
    "access_token": "the access token from {source}",
    "proxy_key": "{source}",
}


class EndpointPool:
    """Opens endpoints and buckets; owns and closes them.

    Attributes:
        submitter: Sends the paid requests of the endpoints that are opened from now on, where it can.
    """

    def __init__(
        self,
        *,
        projects: ConfiguredProjects,
        api_version: str,
        storage_host: str | None,
        state_dir: Path,
        ffmpeg: str | None,
        http: "HttpSettings | None" = None,
    ) -> None:
        self._projects = projects
        self._api_version = api_version
        self._storage_host = storage_host
        self._state_dir = state_dir
        self._ffmpeg = ffmpeg
        self._http = http
        self.submitter: Submitter | None = None
        self._open: dict[tuple[str, str, Surface, str | None], Endpoint] = {}
        self._buckets: dict[tuple[str | None, str | None], CloudStorage] = {}

    async def base_url(self, route: Route) -> str:
        """Complete address of the route; starts the built-in emulator if no address was given.

        Raises:
            ConfigurationError: The emulator cannot be started.
        """
        host = route.host
        if host is None:
            host = await emulator_url(self._state_dir, self._ffmpeg)
        return route.address(host)

    async def at(self, route: Route, project: str | None) -> Endpoint:
        """The endpoint of a route, with the credentials of a configured project.

        Raises:
            AuthenticationError: It has none for that surface.
        """
        return self._endpoint(route.backend, await self.base_url(route), route.surface, project)

    async def identity(self, route: Route, project: str | None) -> Identity:
        """Whose credentials a route uses.

        Raises:
            AuthenticationError: There are none, or their file is unusable.
        """
        from mediagen.credentials import identity

        if route.backend == "emulator":
            return Identity(kind="none needed")
        return await identity(self._projects.credential(project, route.surface, route.project))

    async def for_job(self, job: Job) -> Endpoint:
        """The endpoint that a job was sent to.

        Raises:
            AuthenticationError: No credentials for it any more.
            ConfigurationError: Its profile is gone.
        """
        return self._endpoint(job.backend, job.base_url, job.surface, job.profile)

    async def bucket(self, project: str | None, backend: str) -> "CloudStorage":
        """Cloud Storage with the credentials of a configured project; that of the emulator for its jobs.

        Raises:
            AuthenticationError: There are no credentials that Cloud Storage takes.
        """
        if backend == "emulator":
            return await self._emulated_bucket(project)
        return await self._real_bucket(project)

    async def bucket_for_job(self, job: Job) -> "CloudStorage":
        """Cloud Storage for the files of a job.

        Raises:
            AuthenticationError: There are no credentials that Cloud Storage takes.
        """
        if job.backend == "emulator":
            return await self._bucket_at(
                None, EMULATOR_CREDENTIALS["vertex"], None, job.base_url.partition("/v1beta1")[0]
            )
        return await self._real_bucket(job.profile)

    async def read_object(self, project: Project, backend: str, uri: str, *, max_bytes: int) -> bytes:
        """Bytes of an object that a caller names.

        Raises:
            InvalidRequestError, EndpointError, AuthenticationError: It cannot be had.
        """
        data, _ = await (await self.bucket(project.name, backend)).read(uri, max_bytes=max_bytes)
        return data

    async def fetch_object(self, project: Project, backend: str, uri: str, part: PartFile) -> None:
        """Bring an object here that a caller names.

        Raises:
            InvalidRequestError, EndpointError, AuthenticationError, StorageError: It cannot be had.
        """
        await (await self.bucket(project.name, backend)).fetch(uri, part, max_bytes=MAX_VIDEO_BYTES)

    async def has_file(self, project: Project, route: Route, file_id: str) -> bool:
        """Whether the Gemini API still has a file.

        Raises:
            EndpointError, AuthenticationError: That could not be found out.
        """
        return await self._gemini(await self.base_url(route), route, project).has_file(file_id)

    async def fetch_file(self, project: Project, route: Route, file_id: str, part: PartFile) -> None:
        """Bring a file of the Gemini API here; those that were uploaded cannot be had.

        Raises:
            EndpointError, AuthenticationError, StorageError: It cannot be had.
        """
        address = await self.base_url(route)
        endpoint = self._gemini(address, route, project)
        await endpoint.download(f"{address}/{self._api_version}/files/{file_id}", part)

    def _gemini(self, address: str, route: Route, project: Project) -> "GeminiApi":
        from mediagen.endpoints.gemini_api import GeminiApi

        endpoint = self._endpoint(route.backend, address, route.surface, project.name)
        assert isinstance(endpoint, GeminiApi)
        return endpoint

    def advice(self, job: Job, error: MediaGenError) -> str:
        """Whose credentials were refused, unless the error says so, and the other configured surfaces, in words."""
        if job.backend == "emulator":
            return ""
        others = self._projects.others(job.profile, job.surface)
        credential = self._projects.credential(job.profile, job.surface, _google_project(job.base_url))
        if isinstance(error, AuthenticationError):
            return f"{_looks_wrong(credential)}{others}"
        return f"It was sent with {_described(credential)}. {others}"

    async def aclose(self) -> None:
        """Close all connections."""
        for endpoint in self._open.values():
            await endpoint.aclose()
        for bucket in self._buckets.values():
            await bucket.aclose()
        self._open.clear()
        self._buckets.clear()

    def _endpoint(self, backend: str, base_url: str, surface: Surface, profile: str | None) -> Endpoint:
        key = (backend, base_url, surface, profile)
        if key not in self._open:
            is_emulator = backend == "emulator"
            credential = (
                EMULATOR_CREDENTIALS[surface]
                if is_emulator
                else self._projects.credential(profile, surface, _google_project(base_url))
            )
            self._open[key] = self._opened(base_url, surface, credential)
        return self._open[key]

    def _opened(self, base_url: str, surface: Surface, credential: Credential) -> Endpoint:
        # The HTTP client is heavy to import and not needed before the first call.
        from mediagen.credentials import sign_with
        from mediagen.endpoints.cliproxy import CliProxy
        from mediagen.endpoints.gemini_api import GeminiApi
        from mediagen.endpoints.vertex_ai import VertexAi

        common: dict[str, Any] = {
            "auth": sign_with(credential, base_url),
            "base_url": base_url,
            "http": self._http,
            "submitter": self.submitter,
        }
        match surface:
            case "gemini":
                # A bare variable lets the messages say more than a description would.
                source = credential.source if " " not in credential.source else _described(credential)
                return GeminiApi(key_source=source, api_version=self._api_version, **common)
            case "vertex":
                return VertexAi(key_source=_described(credential), **common)
            case "cliproxy":
                return CliProxy(key_source=credential.source, **common)

    async def _emulated_bucket(self, project: str | None) -> "CloudStorage":
        host = self._projects.storage(project).project.configured.emulator_host
        if host is None:
            host = await emulator_url(self._state_dir, self._ffmpeg)
        return await self._bucket_at(None, EMULATOR_CREDENTIALS["vertex"], None, host)

    async def _real_bucket(self, profile: str | None) -> "CloudStorage":
        holdings = self._projects.storage(profile)
        if holdings.storage is None and self._storage_host is None:
            raise AuthenticationError(
                "There are no credentials for Cloud Storage, which takes no API keys.",
                hint="Set GOOGLE_APPLICATION_CREDENTIALS or run `gcloud auth application-default login`.",
                code="no_credentials",
            )
        return await self._bucket_at(profile, holdings.storage, holdings.google_project, None)

    async def _bucket_at(
        self, profile: str | None, credential: Credential | None, google_project: str | None, host: str | None
    ) -> "CloudStorage":
        key = (profile, host)
        if key not in self._buckets:
            from mediagen.credentials import google_credentials
            from mediagen.storage.gcs import CloudStorage

            signed = await anyio.to_thread.run_sync(google_credentials, credential) if credential else None
            source = credential.source if credential else "anonymous"
            self._buckets[key] = CloudStorage(
                credentials=signed,
                project=google_project,
                # Roles are granted to accounts: only service accounts tell theirs.
                identity=getattr(signed, "service_account_email", None) or source,
                location=self._projects.storage(profile).project.configured.location,
                endpoint=host,
            )
        return self._buckets[key]


def _google_project(base_url: str) -> str | None:
    found = PROJECT_OF_ADDRESS.search(base_url)
    return found[1] if found else None


def _looks_wrong(credential: Credential) -> str:
    """What the secret looks like, when that is not what it was given as; a hint, nothing is decided by it."""
    looks = key_hint(credential.secret) if credential.secret else ""
    expected = "access token" if credential.kind == "access_token" else "API key"
    return f"The value {looks}. " if looks and expected not in looks and credential.kind != "proxy_key" else ""


def _described(credential: Credential) -> str:
    return KINDS.get(credential.kind, "the credentials from {source}").format(source=credential.source)
