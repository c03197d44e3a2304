"""Makes the outcome of a paid picture out of its answer."""

from collections.abc import Callable, Sequence
from typing import Any

import anyio.to_thread

from mediagen.endpoints.answer import Answer
from mediagen.endpoints.base import Finished
from mediagen.endpoints.inline_files import InlineFile, with_files
from mediagen.endpoints.wire.generate_content import DecodedFailure, DecodedImage
from mediagen.endpoints.wire.sizes import SMALL_CHARACTERS

DAMAGED_TURN = "The picture cannot be gone on with by continue_from: a draft in Google's answer is damaged."

Decode = Callable[[bytes, Sequence[bytes]], DecodedImage | DecodedFailure]


async def finished(answer: Answer, decode: Decode, warnings: tuple[str, ...] = ()) -> Finished:
    """Read the picture of a successful answer.

    Raises:
        MediaGenError: There is none.
    """
    if len(answer.body) <= SMALL_CHARACTERS and all(file.is_in_memory for file in answer.files):
        return _finished(answer, decode, warnings)
    return await anyio.to_thread.run_sync(_finished, answer, decode, warnings)


def _finished(answer: Answer, decode: Decode, warnings: tuple[str, ...]) -> Finished:
    image = decode(answer.body, [file.head for file in answer.files])
    if isinstance(image, DecodedFailure):
        raise image.error
    picture = InlineFile(data=image.data) if image.inline is None else answer.files[image.inline]
    turn: dict[str, Any] = {}
    try:
        turn = with_files(image.model_turn, answer.files)
    except (ValueError, RecursionError):
        warnings = (*warnings, DAMAGED_TURN)
    return Finished(image=image, picture=picture, turn=turn, warnings=warnings, is_stored=answer.is_stored)
