"""Records in files: looked for, read and put in without touching a pixel or a sample. Blocking."""

import contextlib
import errno
import io
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

from mediagen.errors import MediaError
from mediagen.media.metadata.boxes import survey_boxes
from mediagen.media.metadata.jpeg import survey_jpeg
from mediagen.media.metadata.layout import Findings, NotUnderstoodError, Piece, Span
from mediagen.media.metadata.packet import Packet, add_record, empty_packet, read_packet
from mediagen.media.metadata.png import survey_png
from mediagen.media.metadata.record import MAX_RECORD_BYTES, parse_record, record_text, shorten
from mediagen.media.metadata.webp import survey_webp
from mediagen.media.sniff import SNIFF_BYTES, sniff

MAX_DESCRIPTION_CHARACTERS: Final = 1000
SIGNED: Final = "signed"
KEPT: Final = "kept"
# A record that has to be shortened to less tells nothing any more.
MIN_ROOM_BYTES: Final = 2048

_COPY_BYTES: Final = 1024**2
# The description at four bytes a character, or five with "&amp;", and the tags.
_FRAME_BYTES: Final = 5 * MAX_DESCRIPTION_CHARACTERS + 1024
_FULL: Final = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
_SURVEYS: Final[dict[str, Callable[[BinaryIO, Findings], None]]] = {
    "image/png": survey_png,
    "image/jpeg": survey_jpeg,
    "image/webp": survey_webp,
    "video/mp4": survey_boxes,
    "video/3gpp": survey_boxes,
    "audio/mp4": survey_boxes,
    "video/quicktime": survey_boxes,
    "image/heic": survey_boxes,
    "image/avif": survey_boxes,
}
# The others keep XMP elsewhere.
_EMBEDDABLE: Final = frozenset({"image/png", "image/jpeg", "image/webp", "video/mp4", "video/3gpp", "audio/mp4"})


def has_c2pa(path: Path) -> bool:
    """Whether a file carries a C2PA manifest, or names one kept elsewhere: any change would break its signature.

    A damaged file is looked through up to the damage.

    Raises:
        MediaError: It cannot be read.
    """
    with _opened(path) as file:
        return _is_signed(_survey(file))


def read_record(path: Path) -> dict[str, Any] | None:
    """Read the record that `embed_record` put into a file; None when there is none.

    Raises:
        MediaError: It cannot be read.
    """
    with _opened(path) as file:
        found = _survey(file)
    for data, _ in found.packets:
        packet = _read_packet(data)
        if packet and packet.record is not None:
            return parse_record(packet.record)
    return None


def embed_record(
    path: Path,
    record: Mapping[str, Any],
    *,
    temporary: Path | None = None,
    renamed: str | None = None,
    if_signed: bool = False,
) -> bool:
    """Put a record into a file, in place of an earlier one; picture, sound and all other metadata stay as they are.

    The file is replaced whole, under its permissions: it is the old or the new one at any instant. Its digest changes,
    and another hard link to it keeps the old content. Texts are shortened when the record is larger than 32 KB.

    Args:
        path: A PNG, JPEG, WebP or MP4 file; a symbolic link is followed.
        record: JSON. A text under the key ``prompt`` becomes the description that picture viewers show, too.
        temporary: Where the new file is written first, in the folder of `path`, in place of what a process that died
            left there; None takes a name that nobody uses.
        renamed: Name that the new file takes instead of that of the old one, which is removed.
        if_signed: What to return of a file with a C2PA manifest, which is never touched.

    Returns:
        Whether it carries the record now; it stays as it is when it has no place for that, is damaged, or changed.

    Raises:
        MediaError: It cannot be read or written. Codes: ``unreadable_media``, ``not_writable``, ``disk_full``.
        InvalidRequestError: The record is no JSON.
    """
    target = Path(os.path.realpath(path))
    with _opened(target) as file:
        before = os.fstat(file.fileno())
        pieces = _pieces_with(file, record)
        if pieces is None or isinstance(pieces, str):
            return pieces == KEPT or (if_signed and pieces == SIGNED)
        written = _write_beside(target, file, pieces, temporary)
    return _replace(target, written, before, renamed or target.name)


def recorded(data: bytes, record: Mapping[str, Any]) -> bytes | None:
    """Do as `embed_record` for a file that is in memory; one with a C2PA manifest stays as it is.

    Returns:
        The file; None when it has no place for the record or is damaged.

    Raises:
        InvalidRequestError: The record is no JSON.
    """
    pieces = _pieces_with(io.BytesIO(data), record)
    if pieces is None or isinstance(pieces, str):
        return data if pieces else None
    return b"".join(data[piece.start : piece.end] if isinstance(piece, Span) else piece for piece in pieces)


def _pieces_with(file: BinaryIO, record: Mapping[str, Any]) -> Sequence[Piece] | Literal["signed", "kept"] | None:
    """What a file with the record consists of; or that it must not be changed, has the record already, or cannot."""
    found = _survey(file)
    if found.place is None or _is_signed(found):
        return SIGNED if _is_signed(found) else None
    old = found.packets[0][0] if found.packets else None
    packet = _packet_with(old, record, found.max_packet_bytes)
    if packet is None:
        return None
    return KEPT if packet == old else found.place(packet)


def _survey(file: BinaryIO) -> Findings:
    found = Findings()
    try:
        file.seek(0)
        mime_type = sniff(file.read(SNIFF_BYTES))
        survey = _SURVEYS.get(mime_type or "")
        if survey:
            survey(file, found)
    except NotUnderstoodError:
        found.place = None
    if mime_type not in _EMBEDDABLE:
        found.place = None
    return found


def _is_signed(found: Findings) -> bool:
    packets = (_read_packet(data) for data, _ in found.packets)
    return found.signed or any(packet.names_manifest for packet in packets if packet)


def _read_packet(data: bytes) -> Packet | None:
    try:
        return read_packet(data)
    except NotUnderstoodError:
        return None


def _packet_with(old: bytes | None, record: Mapping[str, Any], max_bytes: int) -> bytes | None:
    """The file's packet with the record in it; None when there is no room or what is there cannot be understood."""
    packet = empty_packet() if old is None else _read_packet(old)
    if packet is None:
        return None
    earlier = sum(span.end - span.start for span in packet.ours)
    room = min(MAX_RECORD_BYTES, max_bytes - len(packet.data) + earlier - _FRAME_BYTES)
    text = record_text(record, room) if room >= MIN_ROOM_BYTES else None
    if text is None:
        return None
    prompt = record.get("prompt")
    description = shorten(prompt, MAX_DESCRIPTION_CHARACTERS) if isinstance(prompt, str) else ""
    data = add_record(packet, text, description)
    written = _read_packet(data)
    # What cannot be read back, whatever strange packet it was put into, is not written.
    return data if written and written.record == text and len(data) <= max_bytes else None


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise MediaError(f"{path.name} is no file.", code="unreadable_media")
        file = path.open("rb")
    except OSError as error:
        raise _read_error(path, error) from error
    with file:
        try:
            yield file
        except OSError as error:
            raise _read_error(path, error) from error


def _read_error(path: Path, error: OSError) -> MediaError:
    return MediaError(
        f"{path.name} cannot be read: {error.strerror or 'input/output error'}.",
        hint="Look at the file and its permissions.",
        code="unreadable_media",
    )


def _write_error(path: Path, error: OSError) -> MediaError:
    if error.errno in _FULL:
        return MediaError(
            f"The record was not put into {path.name}: the disk is full.", hint="Free some space.", code="disk_full"
        )
    return MediaError(
        f"The record was not put into {path.name}: {error.strerror or 'input/output error'}.",
        hint="Look at the file, its folder and their permissions.",
        code="not_writable",
    )


def _write_beside(target: Path, source: BinaryIO, pieces: Sequence[Piece], named: Path | None) -> Path:
    """Write the pieces into a file beside the target; nothing is left when that fails."""
    temporary = named or target.parent / f".mediagen-{secrets.token_hex(8)}.part"
    try:
        if named:
            named.unlink(missing_ok=True)
        with os.fdopen(_create(temporary, target), "wb") as file:
            for piece in pieces:
                _write_piece(file, source, piece)
            file.flush()
            _take_over(file, os.fstat(source.fileno()))
            os.fsync(file.fileno())
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _write_error(target, error) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _create(temporary: Path, target: Path) -> int:
    # A rename asks for rights on the folder only and would replace a file that is protected.
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)


def _write_piece(file: BinaryIO, source: BinaryIO, piece: Piece) -> None:
    if not isinstance(piece, Span):
        file.write(piece)
        return
    source.seek(piece.start)
    left = piece.end - piece.start
    while left:
        chunk = source.read(min(left, _COPY_BYTES))
        if not chunk:
            raise OSError(errno.EIO, "it became shorter meanwhile")
        file.write(chunk)
        left -= len(chunk)


def _take_over(file: BinaryIO, before: os.stat_result) -> None:
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):  # only the superuser may give files away
        os.fchown(file.fileno(), before.st_uid, before.st_gid)
    os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))


def _replace(target: Path, temporary: Path, before: os.stat_result, name: str) -> bool:
    """Put the new file in place of the old one under a name, unless that is no longer what was read."""
    try:
        now = target.stat()
        if (now.st_ino, now.st_size, now.st_mtime_ns) != (before.st_ino, before.st_size, before.st_mtime_ns):
            temporary.unlink(missing_ok=True)
            return False
        # The folder is not synced: either file is whole after a power cut, and who names it at last syncs that.
        temporary.replace(target.with_name(name))
        if name != target.name:
            # In use by another, as by who looks for viruses, it stays; the new file has the record all the same.
            with contextlib.suppress(OSError):
                target.unlink(missing_ok=True)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise _write_error(target, error) from error
    return True
