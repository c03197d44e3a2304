"""Is what was fetched the paid file? Looked at before it gets its name. Blocking."""

import logging
from typing import Final

from mediagen.errors import MediaError, UnavailableError
from mediagen.media.probe import MediaFacts, probe
from mediagen.storage.part import Part

logger = logging.getLogger(__name__)

DAMAGE: Final = "damage"
FETCHED_TIMES: Final = 3
_HEAD_BYTES: Final = 512
_PAGES: Final = (b"<", b"{", b"[")


def examine(part: Part, uri: str) -> MediaFacts | None:
    """Look whether a file that arrived can be read; note it when it cannot and never will be.

    What is a page of text in place of the file is never taken for it. What is damaged is fetched again, unless it
    comes from where it cannot be any better; the same damage twice, or any three times, is how Google has it.

    Returns:
        What it is; None when it is damaged for good.

    Raises:
        UnavailableError: It is to be fetched again.
        StorageError: The folder cannot be read or written to.
    """
    try:
        return probe(part.path)
    except MediaError as error:
        damage = error.message.replace(part.path.name, "The file")
    if _is_page(part) and not uri.startswith("file:"):
        part.truncate()
        raise _again(
            "A page of text was sent in place of the file.",
            "Something in between answers for Google, such as a login page. The file is fetched again.",
        )
    note = part.note()
    earlier = note.get("damaged", "").split()
    came = [*earlier, part.checksum("md5")]
    # What came inside an answer is here as it came, and what a bucket holds was compared with its checksum.
    if not uri.startswith("http") or came[-1] in earlier or len(came) >= FETCHED_TIMES:
        times = f" It was fetched {len(came)} times." if len(came) > 1 else ""
        part.keep_note({**note, DAMAGE: f"{damage}{times}"})
        return None
    logger.warning("%s is damaged and fetched again", part.path.name)
    part.keep_note({**note, "damaged": " ".join(came)})
    part.truncate()
    raise _again(f"The file arrived damaged: {damage}", "It is still at Google and is fetched again.")


def _again(message: str, hint: str) -> UnavailableError:
    return UnavailableError(message, hint=hint, code="download_incomplete", billed="yes")


def _is_page(part: Part) -> bool:
    with part.path.open("rb") as file:
        head = file.read(_HEAD_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
    return head.startswith(_PAGES) and b"\0" not in head
