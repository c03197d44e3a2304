"""What an operation at Google comes to, in whatever wire format it is told. Pure."""

from dataclasses import dataclass
from typing import Literal

from mediagen.jobs import JobError, Usage

State = Literal["running", "completed", "failed", "filtered", "cancelled"]

TEXT_LIMIT = 300
REPHRASE = "Rephrase the prompt or use other input files."
ASK_AGAIN = "Ask again; look at your usage at Google first if it matters whether this one was billed."


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """One file of a finished operation.

    Attributes:
        uri: Where it can be fetched, https or gs://; None when it came inside the answer.
        inline: Number of the sink that holds it; None when it has an address.
        mime_type: As Google declares it.
    """

    uri: str | None = None
    inline: int | None = None
    mime_type: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """State of an operation or interaction at Google.

    Attributes:
        name: Name to poll by; empty when the answer has none.
        state: What it means for us; states that are not known count as running.
        outputs: Its files, in Google's order.
        text: What the model said.
        error: Why there is no file; set for failed, filtered and cancelled.
        warnings: What the caller should know about a success, such as clips that were filtered.
        raw_status: Google's own word.
    """

    name: str
    state: State
    outputs: tuple[Output, ...] = ()
    text: str = ""
    usage: Usage | None = None
    error: JobError | None = None
    warnings: tuple[str, ...] = ()
    raw_status: str = ""
