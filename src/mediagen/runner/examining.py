"""Is what was fetched the paid file? Looked at before it gets its name."""

import logging
from typing import Final

import anyio

from mediagen.errors import MediaError, UnavailableError
from mediagen.media.probe import probe_file
from mediagen.storage.local import PartFile

logger = logging.getLogger(__name__)

DAMAGE: Final = "damage"
FETCHED_TIMES: Final = 3
_HEAD_BYTES: Final = 512
_PAGES: Final = (b"<", b"{", b"[")


async def examine(part: PartFile, uri: str) -> None:
    """Look whether a file that arrived can be read; note it when it cannot and never will be.

    What is a page of text in place of the file is never taken for it. What is damaged is fetched again, unless it
    comes from where it cannot be any better; the same damage twice, or any three times, is how Google has it.

    Raises:
        UnavailableError: It is to be fetched again.
        StorageError: The folder cannot be read or written to.
    """
    try:
        await probe_file(part.path)
    except MediaError as error:
        damage = error.message.replace(part.path.name, "The file")
    else:
        return
    if await _is_page(part) and not uri.startswith("file:"):
        await part.truncate()
        raise _again(
            "A page of text was sent in place of the file.",
            "Something in between answers for Google, such as a login page. The file is fetched again.",
        )
    note = await part.note()
    earlier = note.get("damaged", "").split()
    came = [*earlier, await part.checksum("md5")]
    # What came inside an answer is here as it came, and what a bucket holds was compared with its checksum.
    if not uri.startswith("http") or came[-1] in earlier or len(came) >= FETCHED_TIMES:
        times = f" It was fetched {len(came)} times." if len(came) > 1 else ""
        await part.keep_note({**note, DAMAGE: f"{damage}{times}"})
        return
    logger.warning("%s is damaged and fetched again", part.path.name)
    await part.keep_note({**note, "damaged": " ".join(came)})
    await part.truncate()
    raise _again(f"The file arrived damaged: {damage}", "It is still at Google and is fetched again.")


def _again(message: str, hint: str) -> UnavailableError:
    return UnavailableError(message, hint=hint, code="download_incomplete", billed="yes")


async def _is_page(part: PartFile) -> bool:
    async with await anyio.open_file(part.path, "rb") as file:
        head = (await file.read(_HEAD_BYTES)).removeprefix(b"\xef\xbb\xbf").lstrip()
    return head.startswith(_PAGES) and b"\0" not in head
