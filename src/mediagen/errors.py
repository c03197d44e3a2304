"""Every error that mediagen raises on purpose.

    MediaGenError
    ├── InvalidRequestError          nothing was sent; names the field, the value and what is allowed
    ├── BudgetExceededError          the quote is above a cap; nothing was sent
    │   └── ApprovalNeededError      above the approval threshold: somebody has to agree to the price
    ├── ConfigurationError           whoever runs the server must act
    │   └── AuthenticationError      the credentials are missing or were refused
    ├── EndpointError                Google answered with a failure
    │   ├── RateLimitError           429
    │   ├── UnavailableError         5xx, time-out or lost connection where nothing can have been billed
    │   └── ContentFilteredError     refused by a safety filter
    ├── SubmissionUnconfirmedError   sent, no answer seen: may be billed, never sent again by us
    ├── JobNotFoundError
    ├── LedgerError                  the job ledger cannot be read or written
    ├── MediaError                   a picture or video cannot be read or made
    └── StorageError                 the file exists at Google but could not be stored here

Messages are for the caller: what happened and what to change; never a key, a prompt or a signed URL.
"""

from decimal import Decimal
from typing import Literal

Billed = Literal["no", "yes", "unknown"]
UNCONFIRMED_HINT = (
    "It may be billed and is not sent again automatically. Look at your usage at Google before you ask again."
)


class MediaGenError(Exception):
    """Base of every error raised on purpose.

    Attributes:
        code: Stable slug that programs may test for.
        message: What happened, one or two sentences.
        hint: What to do about it; empty when the message says it all.
        retryable: Whether the same request may succeed later.
        billed: Whether Google charges for what failed.
    """

    code = "internal"
    retryable = False
    billed: Billed = "no"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        code: str | None = None,
        retryable: bool | None = None,
        billed: Billed | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code
        if retryable is not None:
            self.retryable = retryable
        if billed is not None:
            self.billed = billed

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InvalidRequestError(MediaGenError):
    """The request cannot work; nothing was sent."""

    code = "invalid_request"

    def __init__(self, message: str, *, field: str = "", hint: str = "", code: str | None = None) -> None:
        super().__init__(message, hint=hint, code=code)
        self.field = field


class BudgetExceededError(MediaGenError):
    """The quote is above a spending cap or needs approval; nothing was sent."""

    code = "budget_exceeded"


class ApprovalNeededError(BudgetExceededError):
    """Above the approval threshold: somebody has to agree to the price first; nothing was sent.

    Attributes:
        usd: The price that is to be agreed to, in US dollars.
        basis: The price with how it came about, how sure it is and where it is from.
        fingerprint: Of what would be agreed to, where it is known.
        model: That would be used, where it is known.
    """

    code = "approval_needed"
    fingerprint: str | None = None
    model = ""

    def __init__(self, message: str, *, usd: Decimal, basis: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.usd = usd
        self.basis = basis


class ConfigurationError(MediaGenError):
    """A setting is missing or wrong; names the variable or the file."""

    code = "configuration"


class AuthenticationError(ConfigurationError):
    """No credentials, or Google refused them (401, 403)."""

    code = "authentication"


class EndpointError(MediaGenError):
    """Google answered with a failure.

    Attributes:
        status_code: HTTP status, or None when the failure came inside a 200 answer.
        reason: Google's own word for it, for example ``IMAGE_SAFETY``.
    """

    code = "endpoint_error"

    def __init__(  # noqa: PLR0913 - the base's arguments and the two of its own
        self,
        message: str,
        *,
        status_code: int | None = None,
        reason: str = "",
        hint: str = "",
        code: str | None = None,
        retryable: bool | None = None,
        billed: Billed | None = None,
    ) -> None:
        super().__init__(message, hint=hint, code=code, retryable=retryable, billed=billed)
        self.status_code = status_code
        self.reason = reason


class RateLimitError(EndpointError):
    """429: too many requests or no quota.

    Attributes:
        retry_after: Seconds that Google asked to wait, or None.
    """

    code = "rate_limited"
    retryable = True
    retry_after: float | None = None


class UnavailableError(EndpointError):
    """Google could not be reached or is overloaded."""

    code = "unavailable"
    retryable = True
    retry_after: float | None = None


class ContentFilteredError(EndpointError):
    """A safety filter refused the prompt, an input or the result."""

    code = "content_filtered"


class SubmissionUnconfirmedError(MediaGenError):
    """A paid request was sent and no answer was seen: it may be billed and is never sent again by us."""

    code = "unconfirmed"
    billed: Billed = "unknown"

    def __init__(self, message: str, *, hint: str = UNCONFIRMED_HINT) -> None:
        super().__init__(message, hint=hint)


class JobNotFoundError(MediaGenError):
    """No job or artifact of that id in the ledger."""

    code = "job_not_found"


class LedgerError(MediaGenError):
    """The job ledger cannot be read or written."""

    code = "ledger"


class MediaError(MediaGenError):
    """A picture or video cannot be read, or ffmpeg is missing."""

    code = "media"


class StorageError(MediaGenError):
    """The paid file exists at Google but could not be stored here; the job stays collectable."""

    code = "storage"
    retryable = True
    billed: Billed = "yes"
