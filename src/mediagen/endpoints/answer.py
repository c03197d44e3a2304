"""An answer of a surface, of whatever status."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

import httpx

from mediagen.endpoints.inline_files import InlineFile
from mediagen.endpoints.wire.google_errors import GoogleFailure, parse_error


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An answer.

    Attributes:
        body: Of a success that holds files, the skeleton; see `inline_media`.
        end: How the body of an answer to a paid request ended; of a success that is not whole, it is left out.
        files: What the skeleton refers to.
        is_stored: Whether it lies on the disk as it came until its call is forgotten.
    """

    status_code: int
    headers: Mapping[str, str]
    body: bytes
    sent_key: str = ""
    end: Literal["whole", "cut", "too_large"] = "whole"
    files: tuple[InlineFile, ...] = ()
    is_stored: bool = False

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return HTTPStatus.OK <= self.status_code < HTTPStatus.MULTIPLE_CHOICES

    def failure(self, *secrets: str) -> GoogleFailure:
        """Read it as an error; neither the key nor `secrets` come back."""
        hidden = (*secrets, self.sent_key) if self.sent_key else secrets
        return parse_error(self.status_code, self.headers, self.body, secrets=hidden)


def sent_key(request: httpx.Request) -> str:
    """What a request was signed with; the token alone, without the word Bearer before it."""
    headers = request.headers
    key: str = headers.get("x-goog-api-key", "") or headers.get("authorization", "").rpartition(" ")[2]
    return key
