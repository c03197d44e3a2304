"""Pictures through CLIProxyAPI, a proxy of the user's own: its Gemini route, or its chat route where that is missing.

It has no Veo, and its Interactions route can be posted to but not asked again, so no clips.
Source: https://github.com/router-for-me/CLIProxyAPI v7.2.99 (checked 2026-11-21)
"""

import re
import time
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Never
from urllib.parse import quote

import anyio.to_thread
import httpx

from mediagen.endpoints.answer import Answer
from mediagen.endpoints.answered import finished
from mediagen.endpoints.base import (
    EndpointCheck,
    Finished,
    OnProgress,
    OpenSink,
    Operation,
    PaidRequest,
    ProbeResult,
    ResumablePart,
    StoredAnswer,
    Submission,
)
from mediagen.endpoints.http import HttpChannel, HttpSettings
from mediagen.endpoints.paid import judge_stored, send_paid
from mediagen.endpoints.surface import HttpSurface
from mediagen.endpoints.wire.chat_completions import chat_body, decode_chat
from mediagen.endpoints.wire.generate_content import decode_image
from mediagen.endpoints.wire.json_values import children, parse_object, word
from mediagen.errors import (
    AuthenticationError,
    ConfigurationError,
    EndpointError,
    InvalidRequestError,
    MediaGenError,
    RateLimitError,
    SubmissionUnconfirmedError,
    UnavailableError,
)
from mediagen.submitter.base import Submitter

URL_VARIABLE = "CLIPROXY_BASE_URL"
KEY_VARIABLE = "CLIPROXY_API_KEY"
BASE_URL = "http://127.0.0.1:8317"

BY_CHAT_ROUTE = (
    "The proxy has no Gemini route; asked by its chat route, which does not tell drafts from the finished picture "
    "(the last one was taken) and drops the signatures that further editing would need."
)
_NO_ROUTE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})
_ANY_FAILURE = frozenset(range(HTTPStatus.MULTIPLE_CHOICES, 600))
# The proxy's own words; Google's, of an account behind it, differ.
_OWN_KEY = re.compile(r"(?:invalid|missing) api key", re.IGNORECASE)
_EXAMPLE_KEY = re.compile(r"unsafe_example_api_key")
_NO_ACCOUNT = re.compile(r"auth_(?:not_found|unavailable)|no auth available", re.IGNORECASE)


class CliProxy(HttpSurface):
    """One CLIProxyAPI with one of its keys. Close it with `aclose`, or use it as an async context manager."""

    def __init__(
        self,
        *,
        auth: httpx.Auth,
        key_source: str = KEY_VARIABLE,
        base_url: str = BASE_URL,
        http: HttpSettings | None = None,
        submitter: Submitter | None = None,
    ) -> None:
        """Set the surface up; nothing is sent yet.

        Args:
            auth: Signs requests to `base_url` and to nothing else.
            key_source: Variable that the key came from, for messages.
            base_url: Address of the proxy, without ``/v1``.
            http: Time-outs, retries and clock.
            submitter: Sends paid requests, where it can.

        Raises:
            ConfigurationError: `base_url` cannot be the address of a proxy.
        """
        super().__init__(_channel(base_url, auth, key_source, http or HttpSettings(), submitter=submitter))
        self._has_gemini_route = True

    async def submit(self, call: PaidRequest) -> Submission:
        """Send a paid request for a picture once. Costs money; how often the proxy repeats it is out of our hands.

        Raises:
            InvalidRequestError: It is not about a picture, or holds what the chat route cannot carry; nothing was made.
            SubmissionUnconfirmedError: It may have arrived, but its outcome is unknown; it is never sent again.
            ContentFilteredError: A safety filter refused it; `billed` says whether it costs.
            EndpointError: Proxy or Google refused it, failed, or answered without a picture.
            AuthenticationError: The key of the proxy, or the account behind it, was refused.
        """
        if call.kind != "image" or call.api != "generate_content":
            raise _no_clips(call)
        if self._has_gemini_route:
            model = quote(call.model.removeprefix("models/"), safe="")
            try:
                answer = await send_paid(self._http, self._url(f"v1beta/models/{model}:generateContent"), call)
            except MediaGenError as error:
                if not (_may_lack_route(error) and await self._lacks_gemini_route()):
                    self._raise_translated(error, call)
                self._has_gemini_route = False
            else:
                return await finished(answer, decode_image)
        return await self._submit_by_chat(call)

    async def _submit_by_chat(self, call: PaidRequest) -> Finished:
        chat = replace(call, body=chat_body(call.body, call.model.removeprefix("models/")))
        try:
            answer = await send_paid(self._http, self._url("v1/chat/completions"), chat)
        except MediaGenError as error:
            if _may_lack_route(error):
                # Some other program: the right one may answer there later.
                self._has_gemini_route = True
                raise _lacks_both_routes(error, self.base_url) from error
            self._raise_translated(error, call)
        return await finished(answer, decode_chat, warnings=(BY_CHAT_ROUTE,))

    async def read_answer(self, call: PaidRequest, answer: StoredAnswer) -> Submission:
        """Read what was answered to a paid request of a process that has died since, by either route. Sends nothing.

        Raises:
            MediaGenError: As `submit` would have.
            StorageError: The answer cannot be read now.
        """
        try:
            judged = await judge_stored(self._http, call, answer)
        except MediaGenError as error:
            self._raise_translated(error, call)
        # Only the chat route answers with choices.
        page = await anyio.to_thread.run_sync(parse_object, judged.body)
        if page is not None and "choices" in page:
            return await finished(judged, decode_chat, warnings=(BY_CHAT_ROUTE,))
        return await finished(judged, decode_image)

    async def _lacks_gemini_route(self) -> bool:
        """Make sure, for free, before a second paid request: the list of models stands beside the route that failed.

        Of an unknown route, the proxy says 404 without a body; all that it or Google says of a model is JSON.
        """
        try:
            answer = await self._http.read("GET", self._url("v1beta/models"), attempts=1, accept=_ANY_FAILURE)
        except MediaGenError:
            return False
        return answer.status_code in _NO_ROUTE and not answer.failure().is_structured

    def _raise_translated(self, error: MediaGenError, call: PaidRequest) -> Never:
        told = self._translated(error, call)
        if told is error:
            raise error
        raise told from error

    def _translated(self, error: MediaGenError, call: PaidRequest) -> MediaGenError:
        """Tell it in words that fit the proxy, its key and the accounts behind it; what it is stays as it was."""
        match error:
            case UnavailableError(status_code=None, billed="no"):
                return _not_listening(error, self.base_url)
            case AuthenticationError():
                # What was quoted stands behind the status.
                return _refused_key(error.message.partition("): ")[2], self._http.key_source)
            case EndpointError() if "model_not_found" in {error.code, error.reason}:
                return _unknown_model(error, call.model)
            case RateLimitError(retryable=False):
                error.hint = "The account behind CLIProxyAPI has no quota for this model: log another one in there."
            case UnavailableError() if _NO_ACCOUNT.search(error.message):
                error.hint = "Log an account that has this model in with CLIProxyAPI, or wait until its pause is over."
            # Google's own words are capitals; the proxy may have lost an answer that was paid for.
            case UnavailableError(billed="unknown") if not error.reason.isupper():
                return SubmissionUnconfirmedError(f"The proxy took the paid request and then failed: {error.message}")
        return error

    async def poll(self, operation: str, open_sink: OpenSink) -> Operation:  # noqa: ARG002 - arguments of the protocol
        """Never possible: pictures come at once, and clips are not made here.

        Raises:
            EndpointError: Always.
        """
        _impossible("job to ask about")

    async def cancel(self, operation: str) -> bool:  # noqa: ARG002 - arguments of the protocol
        """Never possible: pictures come at once.

        Raises:
            EndpointError: Always.
        """
        _impossible("job to cancel")

    async def download(self, uri: str, part: ResumablePart, on_progress: OnProgress | None = None) -> None:  # noqa: ARG002 - arguments of the protocol
        """Never possible: pictures come inside the answer.

        Raises:
            EndpointError: Always.
        """
        _impossible("file to download")

    async def upload(self, path: Path, mime_type: str) -> str:  # noqa: ARG002 - arguments of the protocol
        """Never possible: the proxy has no store for files.

        Raises:
            EndpointError: Always.
        """
        _impossible("store to upload to")

    async def probe(self, model: str, body: dict[str, Any]) -> ProbeResult:  # noqa: ARG002 - arguments of the protocol
        """Say that it is not offered: the proxy would carry the request out. Sends nothing."""
        return ProbeResult(accepted=None, message="CLIProxyAPI has no way to test a request without carrying it out.")

    async def check(self) -> EndpointCheck:
        """Test address, key and models. Costs nothing; failures are told, not raised."""
        started = time.monotonic()
        try:
            # Without the key, which is shown only to what looks like the proxy.
            health = await self._read("healthz", auth=None)
            latency_ms = round((time.monotonic() - started) * 1000, 1)
            # Before April 2026 the proxy had no /healthz.
            if word(parse_object(health.body), "status") != "ok" and health.status_code not in _NO_ROUTE:
                return self._stranger(health, latency_ms)
            models = await self._read("v1/models")
        except UnavailableError as error:
            told = str(_not_listening(error, self.base_url))
            return EndpointCheck(reachable=False, key_ok=None, error=told, retryable=True)
        except MediaGenError as error:
            return EndpointCheck(reachable=True, key_ok=None, error=str(error), retryable=error.retryable)
        return self._checked(models, latency_ms)

    async def _read(self, path: str, **content: Any) -> Answer:
        return await self._http.read("GET", self._url(path), attempts=1, accept=_ANY_FAILURE, **content)

    def _checked(self, answer: Answer, latency_ms: float) -> EndpointCheck:
        page = parse_object(answer.body)
        if answer.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN} and answer.failure().is_structured:
            error = _refused_key(answer.failure().message, self._http.key_source)
            return EndpointCheck(reachable=True, key_ok=False, latency_ms=latency_ms, error=str(error))
        if not answer.is_success or page is None or not isinstance(page.get("data"), list):
            return self._stranger(answer, latency_ms)
        ids = dict.fromkeys(word(model, "id") for model in children(page, "data"))
        names = tuple(name for name in ids if name)
        error_text = None if names else "CLIProxyAPI lists no models: none of its accounts is logged in."
        return EndpointCheck(reachable=True, key_ok=True, latency_ms=latency_ms, models=names, error=error_text)

    def _stranger(self, answer: Answer, latency_ms: float) -> EndpointCheck:
        error = str(_something_else(answer.status_code, self.base_url))
        return EndpointCheck(reachable=True, key_ok=None, latency_ms=latency_ms, error=error)

    def _url(self, path: str) -> str:
        return f"{self.base_url}/{path}"


def _channel(
    base_url: str, auth: httpx.Auth, key_source: str, settings: HttpSettings, *, submitter: Submitter | None
) -> HttpChannel:
    hint = f"Set {URL_VARIABLE} to the address of CLIProxyAPI alone, like {BASE_URL}, or unset it."
    if base_url.strip().rstrip("/").endswith(("/v1", "/v1beta")):
        raise ConfigurationError("The address of CLIProxyAPI must not end with an API version.", hint=hint)
    try:
        return HttpChannel(base_url=base_url, auth=auth, key_source=key_source, settings=settings, submitter=submitter)
    except ConfigurationError as error:
        raise ConfigurationError("The address of CLIProxyAPI cannot be used.", hint=hint) from error


def _no_clips(call: PaidRequest) -> InvalidRequestError:
    return InvalidRequestError(
        f"{call.model!r} cannot be asked through CLIProxyAPI, which makes pictures only: it has no Veo, and its "
        "Interactions route cannot be asked again, so that a paid clip could be lost. Nothing was sent.",
        field="backend",
        hint="Use backend='gemini' (Omni, with GEMINI_API_KEY) or backend='vertex' (Omni and Veo).",
    )


def _impossible(what: str) -> Never:
    raise EndpointError(
        f"CLIProxyAPI has no {what}: it makes pictures only, which come inside the answer.",
        code="not_supported",
        hint="Use backend='gemini' or backend='vertex' for clips and files.",
    )


def _may_lack_route(error: MediaGenError) -> bool:
    """Whether the answer was neither the proxy's nor Google's own about the model: theirs give a status or a code."""
    return isinstance(error, EndpointError) and error.status_code in _NO_ROUTE and not error.reason


def _lacks_both_routes(error: MediaGenError, base_url: str) -> EndpointError:
    failed = error if isinstance(error, EndpointError) else None
    return EndpointError(
        f"What answers at {base_url} has neither the Gemini route nor the chat route of CLIProxyAPI; nothing was made.",
        status_code=failed.status_code if failed else None,
        code="not_found",
        hint=f"Check {URL_VARIABLE}, and that CLIProxyAPI listens there and not something else.",
    )


def _not_listening(error: UnavailableError, base_url: str) -> UnavailableError:
    return UnavailableError(
        f"CLIProxyAPI cannot be reached at {base_url} ({error.reason}).",
        reason=error.reason,
        hint=f"Nothing was sent or billed. Start CLIProxyAPI, or set {URL_VARIABLE} to its address.",
    )


def _refused_key(said: str, key_source: str) -> AuthenticationError:
    is_variable = " " not in key_source
    key = f"the key from {key_source or KEY_VARIABLE}" if is_variable else key_source
    place = key_source if key_source and is_variable else KEY_VARIABLE
    if _EXAMPLE_KEY.search(said):
        what = f"CLIProxyAPI serves nobody, as its `api-keys` still hold the example's values; {key} was not looked at"
    elif _OWN_KEY.search(said):
        what = f"CLIProxyAPI refused {key}"
    else:
        quoted = f"; the answer was: {said.rstrip('.')}" if said else ""
        what = f"CLIProxyAPI refused {key}, or Google refused the account behind it{quoted}"
    return AuthenticationError(
        f"{what}.",
        hint=f"Put a key from the `api-keys` list of its config into {place}; if that is so, log the account in with "
        "CLIProxyAPI again. Or use another surface (backend).",
    )


def _unknown_model(error: EndpointError, model: str) -> EndpointError:
    return EndpointError(
        f"CLIProxyAPI has no account for model {model!r} ({error.status_code}); nothing was made.",
        status_code=error.status_code,
        reason=error.reason,
        code="model_not_found",
        hint="check_api lists the models it has; choose one of them, log an account that has it in, or use another "
        "surface (backend='gemini' or 'vertex').",
    )


def _something_else(status_code: int, base_url: str) -> EndpointError:
    return EndpointError(
        f"Something other than CLIProxyAPI answers at {base_url} ({status_code}).",
        status_code=status_code,
        hint=f"Check {URL_VARIABLE}, and what listens on that port.",
    )
