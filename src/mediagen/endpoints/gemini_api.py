"""The Gemini API with an API key: pictures by generateContent, at once or in batches, clips by the Interactions API.

Source: https://ai.google.dev/api and requests of google-genai 3.4.0 (checked 2026-11-21)
"""

import re
from pathlib import Path
from typing import Any, assert_never
from urllib.parse import quote

import httpx

from mediagen.endpoints.base import (
    EndpointCheck,
    OnProgress,
    OpenSink,
    Operation,
    PaidRequest,
    ProbeResult,
    ResumablePart,
    StoredAnswer,
    Submission,
)
from mediagen.endpoints.check import ModelList, check_surface, probe_fields
from mediagen.endpoints.download import download_file
from mediagen.endpoints.files import file_is_there, upload_file
from mediagen.endpoints.http import HttpChannel, HttpSettings
from mediagen.endpoints.operations import (
    cancel_batch,
    cancel_interaction,
    list_all_batches,
    poll_batch,
    poll_interaction,
    poll_operation,
    read_submission,
    submit_batch,
    submit_image,
    submit_interaction,
)
from mediagen.endpoints.surface import HttpSurface
from mediagen.errors import InvalidRequestError
from mediagen.submitter.base import Submitter

BASE_URL = "https://generativelanguage.googleapis.com"
API_VERSION = "v1beta"
_BATCH = re.compile(r"batches/[\w.-]+")
# Veo left this API on 2026-10-22; operations from before may still be kept.
_OLD_OPERATION = re.compile(r"models/[\w.-]+/operations/[\w.-]+")


class GeminiApi(HttpSurface):
    """One Gemini API with one key. Close it with `aclose`, or use it as an async context manager."""

    def __init__(
        self,
        *,
        auth: httpx.Auth,
        key_source: str,
        base_url: str = BASE_URL,
        api_version: str = API_VERSION,
        http: HttpSettings | None = None,
        submitter: Submitter | None = None,
    ) -> None:
        """Set the surface up; nothing is sent yet.

        Args:
            auth: Signs requests to `base_url` and to nothing else.
            key_source: Variable that the key came from, for messages; or the credential in words.
            base_url: Address without version.
            api_version: ``v1beta`` or ``v1``.
            http: Time-outs, retries and clock.
            submitter: Sends paid requests, where it can.

        Raises:
            ConfigurationError: `base_url` is no http or https address.
        """
        channel = HttpChannel(
            base_url=base_url, auth=auth, key_source=key_source, settings=http or HttpSettings(), submitter=submitter
        )
        super().__init__(channel)
        self._version = api_version

    async def submit(self, call: PaidRequest) -> Submission:
        """Send a paid request once. Costs money.

        Raises:
            SubmissionUnconfirmedError: It may have arrived, but its outcome is unknown; it is never sent again.
            ContentFilteredError: A safety filter refused it; `billed` says whether it costs.
            EndpointError: Google refused it, failed, or answered without a picture.
            AuthenticationError: The key was refused.
            InvalidRequestError: The Gemini API does not have this kind of request; nothing was sent.
        """
        match call.api:
            case "generate_content":
                return await submit_image(self._http, self._model(call.model, "generateContent"), call)
            case "batch_generate_content":
                return await submit_batch(self._http, self._model(call.model, "batchGenerateContent"), call)
            case "interactions":
                return await submit_interaction(self._http, self._url("interactions"), call)
            case "predict_long_running":
                raise InvalidRequestError(
                    f"{call.model} cannot be used with the Gemini API: Google serves Veo on Vertex AI only.",
                    field="model",
                    hint="Choose an Omni model, or set up Vertex AI (backend).",
                )
            case _:
                assert_never(call.api)

    async def read_answer(self, call: PaidRequest, answer: StoredAnswer) -> Submission:
        """Read what Google answered to a paid request of a process that has died since. Sends nothing.

        Raises:
            MediaGenError: As `submit` would have.
            StorageError: The answer cannot be read now.
        """
        return await read_submission(self._http, call, answer)

    async def poll(self, operation: str, open_sink: OpenSink) -> Operation:
        """Ask for the state of an interaction, a batch, or an old Veo operation. Costs nothing.

        Raises:
            EndpointError: With code ``operation_unknown`` when Google does not know it (any more).
            UnavailableError: No answer could be had; try again later.
            StorageError: A sink could not be written.
        """
        if _OLD_OPERATION.fullmatch(operation):
            return await poll_operation(self._http, self._url(operation), open_sink)
        if _BATCH.fullmatch(operation):
            return await poll_batch(self._http, self._url(operation), open_sink)
        return await poll_interaction(self._http, self._interaction(operation), open_sink)

    async def cancel(self, operation: str) -> bool:
        """Ask Google to stop; False when it is over already or not known. What is made by then is billed."""
        if _OLD_OPERATION.fullmatch(operation):
            return False
        if _BATCH.fullmatch(operation):
            return await cancel_batch(self._http, self._url(operation))
        return await cancel_interaction(self._http, self._interaction(operation))

    async def list_batches(self) -> dict[str, str]:
        """Names of all batches of the project, by those that they were given. Costs nothing.

        Raises:
            MediaGenError: The list cannot be had.
        """
        return await list_all_batches(self._http, self._url("batches"))

    async def download(self, uri: str, part: ResumablePart, on_progress: OnProgress | None = None) -> None:
        """Bring a file here, going on after what `part` already holds. Costs nothing.

        Raises:
            EndpointError: With code ``expired`` when the file is gone.
            UnavailableError: It could not be had completely; what came is kept in `part`.
            StorageError: `part` could not be written.
        """
        await download_file(self._http, uri, part, on_progress)

    async def has_file(self, file_id: str) -> bool:
        """Whether a file of Google's store is still there and can be used. Costs nothing.

        Raises:
            EndpointError: Google could not process it (``file_failed``).
            UnavailableError: It is still being processed, or no answer could be had.
            AuthenticationError: The key was refused.
        """
        return await file_is_there(self._http, self._url(f"files/{file_id}"))

    async def upload(self, path: Path, mime_type: str) -> str:
        """Send a file to Google's store (kept 48 hours) and return its address. Costs nothing."""
        return await upload_file(self._http, path, mime_type=mime_type, api_version=self._version)

    async def check(self) -> EndpointCheck:
        """Test address, key and models. Costs nothing; failures are told, not raised."""
        listing = ModelList(
            url=self._url("models"), field="models", api="the Gemini API", setting="GOOGLE_GEMINI_BASE_URL"
        )
        return await check_surface(self._http, listing)

    async def probe(self, model: str, body: dict[str, Any]) -> ProbeResult:
        """Let Google check the fields of a body without carrying it out. Costs nothing, ever."""
        return await probe_fields(self._http, self._model(model, "generateContent"), body)

    def _model(self, model: str, method: str) -> str:
        return self._url(f"models/{quote(model.removeprefix('models/'), safe='')}:{method}")

    def _interaction(self, operation: str) -> str:
        return self._url(f"interactions/{quote(operation.removeprefix('interactions/'), safe='')}")

    def _url(self, path: str) -> str:
        return f"{self.base_url}/{self._version}/{path}"
