"""The Gemini API with an API key: pictures by generateContent, clips by the Interactions API.

Source: https://ai.google.dev/api and requests of google-genai 3.4.0 (checked 2026-11-21)
"""

import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import anyio
import anyio.to_thread
import httpx

from mediagen.endpoints.base import (
    Accepted,
    Downloaded,
    EndpointCheck,
    Finished,
    OnProgress,
    PaidRequest,
    PartSink,
    Polled,
    Submission,
)
from mediagen.endpoints.download import download_file
from mediagen.endpoints.files import upload_file
from mediagen.endpoints.http import Answer, HttpChannel, HttpSettings
from mediagen.endpoints.paid import send_paid
from mediagen.endpoints.wire.generate_content import DecodedFailure, decode_image
from mediagen.endpoints.wire.google_errors import UNCONFIRMED_HINT, GoogleFailure, to_exception
from mediagen.endpoints.wire.interactions import decode_interaction
from mediagen.endpoints.wire.json_values import children, parse_object, word
from mediagen.errors import (
    AuthenticationError,
    EndpointError,
    MediaGenError,
    SubmissionUnconfirmedError,
    UnavailableError,
)

BASE_URL = "https://generativelanguage.googleapis.com"
API_VERSION = "v1beta"
MODELS_PER_PAGE = 50
MAX_MODEL_PAGES = 40
CHECK_ATTEMPTS = 2


class GeminiApi:
    """One Gemini API with one key. Close it with `aclose`, or use it as an async context manager."""

    def __init__(
        self,
        *,
        auth: httpx.Auth,
        key_source: str,
        base_url: str = BASE_URL,
        api_version: str = API_VERSION,
        http: HttpSettings | None = None,
    ) -> None:
        """Set the surface up; nothing is sent yet.

        Args:
            auth: Signs requests to `base_url` and to nothing else.
            key_source: Variable that the key came from, for messages.
            base_url: Address without version.
            api_version: ``v1beta`` or ``v1``.
            http: Time-outs, retries and clock.

        Raises:
            ConfigurationError: `base_url` is no http or https address.
        """
        self._http = HttpChannel(base_url=base_url, auth=auth, key_source=key_source, settings=http or HttpSettings())
        self._version = api_version

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close connections."""
        await self._http.aclose()

    @property
    def base_url(self) -> str:
        """Address of the API, without version."""
        return self._http.base_url

    async def submit(self, call: PaidRequest) -> Submission:
        """Send a paid request once. Costs money.

        Raises:
            SubmissionUnconfirmedError: It may have arrived, but its outcome is unknown; it is never sent again.
            ContentFilteredError: A safety filter refused it; `billed` says whether it costs.
            EndpointError: Google refused it, failed, or answered without a picture.
            AuthenticationError: The key was refused.
        """
        if call.kind == "image":
            model = quote(call.model.removeprefix("models/"), safe="")
            answer = await send_paid(self._http, self._url(f"models/{model}:generateContent"), call)
            image = await anyio.to_thread.run_sync(decode_image, answer.body)
            if isinstance(image, DecodedFailure):
                raise image.error
            return Finished(image=image)
        answer = await self._create_interaction(call)
        return Accepted(operation=_operation(answer))

    async def _create_interaction(self, call: PaidRequest) -> Answer:
        try:
            return await send_paid(self._http, self._url("interactions"), call)
        except EndpointError as error:
            if error.code == "answer_too_large":
                raise _no_name("was too large to be read") from error
            raise

    async def poll(self, operation: str) -> Polled:
        """Ask for the state of an interaction. Costs nothing.

        Raises:
            EndpointError: With code ``operation_unknown`` when Google does not know it (any more).
            UnavailableError: No answer could be had; try again later.
        """
        answer = await self._http.read(
            "GET", self._interaction(operation), params={"stream": "false"}, accept=frozenset({400, 404})
        )
        if not answer.is_success:
            raise self._poll_failure(answer.failure())
        found = await anyio.to_thread.run_sync(decode_interaction, answer.body)
        return Polled(
            state=found.state,
            video_uri=found.video_uri,
            video_inline=found.video_inline,
            mime_type=found.mime_type,
            text=found.text,
            usage=found.usage,
            error=found.error,
            raw_status=found.raw_status,
        )

    def _poll_failure(self, failure: GoogleFailure) -> MediaGenError:
        # A 404 that is not Google's own comes from something in between and settles nothing.
        if failure.is_unknown_interaction or (failure.status_code == httpx.codes.NOT_FOUND and failure.is_structured):
            return EndpointError(
                f"Google does not know this job (any more) ({failure.status_code}).",
                status_code=failure.status_code,
                reason=failure.reason or failure.status,
                code="operation_unknown",
                hint="Google keeps jobs for 55 days (1 day without billing), and only for the project that made them.",
                billed="unknown",
            )
        return to_exception(failure, paid=False, key_source=self._http.key_source, model="")

    async def cancel(self, operation: str) -> bool:
        """Ask Google to stop; False when it is over already or not known. What is made by then is billed."""
        refused = frozenset({400, 404, 409})
        answer = await self._http.read("POST", f"{self._interaction(operation)}/cancel", accept=refused)
        if answer.status_code in refused and answer.failure().is_key_refused:
            raise self._poll_failure(answer.failure())
        return answer.is_success

    async def download(self, uri: str, part: PartSink, on_progress: OnProgress | None = None) -> Downloaded:
        """Bring a file here, going on after what `part` already holds. Costs nothing.

        Raises:
            EndpointError: With code ``expired`` when the file is gone.
            UnavailableError: It could not be had completely; what came is kept in `part`.
            StorageError: `part` could not be written.
        """
        return await download_file(self._http, uri, part, on_progress)

    async def upload(self, path: Path, mime_type: str) -> str:
        """Send a file to Google's store (kept 48 hours) and return its address. Costs nothing."""
        return await upload_file(self._http, path, mime_type=mime_type, api_version=self._version)

    async def check(self) -> EndpointCheck:
        """Test address, key and models. Costs nothing; failures are told, not raised."""
        started = time.monotonic()
        try:
            answer = await self._models_page("")
        except AuthenticationError as error:
            return EndpointCheck(reachable=True, key_ok=False, error=str(error))
        except MediaGenError as error:
            answered = isinstance(error, EndpointError) and error.status_code is not None
            return EndpointCheck(reachable=answered, key_ok=None, error=str(error))
        latency_ms = round((time.monotonic() - started) * 1000, 1)
        models, problem = await self._all_models(answer)
        return EndpointCheck(
            reachable=True,
            key_ok=None if problem and not models else True,
            latency_ms=latency_ms,
            models=models,
            clock_skew_seconds=self._clock_skew(answer),
            error=problem,
        )

    async def _all_models(self, first: Answer) -> tuple[tuple[str, ...], str | None]:
        """Follow the pages; returns what was found, and why it is not all."""
        names: dict[str, None] = {}
        answer = first
        for _page in range(MAX_MODEL_PAGES):
            page = parse_object(answer.body)
            if page is None:
                return tuple(names), "What answered is not the Gemini API. Check the base URL."
            names |= {word(model, "name").removeprefix("models/"): None for model in children(page, "models")}
            token = word(page, "nextPageToken")
            if not token:
                break
            try:
                answer = await self._models_page(token)
            except MediaGenError as error:
                return tuple(names), f"The list of models is not complete. {error}"
        return tuple(name for name in names if name), None

    async def _models_page(self, token: str) -> Answer:
        params = {"pageSize": str(MODELS_PER_PAGE), **({"pageToken": token} if token else {})}
        return await self._http.read("GET", self._url("models"), attempts=CHECK_ATTEMPTS, params=params)

    def _clock_skew(self, answer: Answer) -> float | None:
        try:
            theirs = parsedate_to_datetime(answer.headers.get("date", ""))
            return float(round((theirs - self._http.settings.clock()).total_seconds()))
        except (TypeError, ValueError, IndexError):
            return None

    def _interaction(self, operation: str) -> str:
        return self._url(f"interactions/{quote(operation.removeprefix('interactions/'), safe='')}")

    def _url(self, path: str) -> str:
        return f"{self.base_url}/{self._version}/{path}"


def _operation(answer: Answer) -> str:
    try:
        operation = decode_interaction(answer.body).id
    except UnavailableError as error:
        raise _no_name("cannot be read") from error
    if not operation:
        raise _no_name("does not name the job")
    return operation


def _no_name(what: str) -> SubmissionUnconfirmedError:
    return SubmissionUnconfirmedError(
        f"Google took the paid request, but its answer {what}, so it cannot be followed.", hint=UNCONFIRMED_HINT
    )
