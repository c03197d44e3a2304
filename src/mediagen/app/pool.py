"""One endpoint per address, opened on first use and shared by all jobs that were sent there."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from mediagen.app.local_emulator import emulator_url
from mediagen.endpoints.base import Endpoint
from mediagen.errors import AuthenticationError
from mediagen.jobs import Job
from mediagen.routing import NO_CREDENTIALS, NO_KEY, Route

if TYPE_CHECKING:
    from mediagen.endpoints.gemini_api import GeminiApi

EMULATOR_KEY = SecretStr("emulator")


class EndpointPool:
    """Opens endpoints; owns and closes them."""

    def __init__(
        self, *, key: SecretStr | None, key_source: str, api_version: str, state_dir: Path, ffmpeg: str | None
    ) -> None:
        self._key = key
        self._key_source = key_source
        self._api_version = api_version
        self._state_dir = state_dir
        self._ffmpeg = ffmpeg
        self._open: dict[tuple[str, str], GeminiApi] = {}

    async def base_url(self, route: Route) -> str:
        """Address of the route; starts the built-in emulator if no address was given.

        Raises:
            ConfigurationError: The emulator cannot be started.
        """
        if route.base_url is not None:
            return route.base_url.rstrip("/")
        return await emulator_url(self._state_dir, self._ffmpeg)

    async def at(self, backend: str, base_url: str) -> Endpoint:
        """The endpoint at that address.

        Raises:
            AuthenticationError: No key for it.
        """
        # The HTTP client is heavy to import and not needed before the first call.
        from mediagen.credentials import ApiKeyAuth
        from mediagen.endpoints.gemini_api import GeminiApi

        found = self._open.get((backend, base_url))
        if found is None:
            key = EMULATOR_KEY if backend == "emulator" else self._key
            if key is None:
                raise AuthenticationError(
                    NO_KEY,
                    hint=NO_CREDENTIALS,
                    code="no_credentials",
                )
            found = GeminiApi(
                auth=ApiKeyAuth(key, base_url),
                key_source=self._key_source or "emulator",
                base_url=base_url,
                api_version=self._api_version,
            )
            self._open[backend, base_url] = found
        return found

    async def for_job(self, job: Job) -> Endpoint:
        """The endpoint that a job was sent to.

        Raises:
            AuthenticationError: No key for it.
        """
        return await self.at(job.backend, job.base_url)

    async def aclose(self) -> None:
        """Close all connections."""
        for endpoint in self._open.values():
            await endpoint.aclose()
        self._open.clear()
