"""What an attacker says, as data: each row is a value for every argument of its kind."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.hostile.traps import films, pictures, texts

OMNI = {"duration_seconds": 3, "resolution": "360p"}


@dataclass(frozen=True, kw_only=True)
class Place:
    """One argument of one tool, with what the tool needs besides."""

    tool: str
    field: str
    others: tuple[tuple[str, Any], ...] = ()
    is_list: bool = False

    def call(self, value: Any) -> dict[str, Any]:
        """Arguments of a call with the value in its place."""
        return {**dict(self.others), self.field: [value] if self.is_list else value}

    def __str__(self) -> str:
        return f"{self.tool}.{self.field}"


def _at(tool: str, field: str, *, is_list: bool = False, **others: Any) -> Place:
    return Place(tool=tool, field=field, others=tuple(others.items()), is_list=is_list)


PICTURES = (
    _at("generate_image", "input_images", is_list=True, prompt="p"),
    _at("generate_video", "image", prompt="p"),
    _at("generate_video", "last_frame", prompt="p", image="cat.png"),
    _at("generate_video", "reference_images", is_list=True, prompt="p"),
    _at("generate_video", "mask", prompt="p", video="waves.mp4", mask_mode="insert"),
)
DOCUMENTS = (_at("generate_image", "documents", is_list=True, prompt="p"),)
VIDEOS = (
    _at("generate_video", "video", prompt="p"),
    _at("generate_video", "remix_from", prompt="p"),
    _at("extend_video", "source", prompt="p"),
)
EDITED_PICTURES = (_at("resize_image", "source", width=10),)
EDITED = (
    _at("probe_media", "source"),
    _at("extract_frame", "source"),
    _at("trim_video", "source", end="1"),
    _at("add_audio", "source", audio="waves.mp4"),
    _at("add_audio", "audio", source="waves.mp4"),
    _at("convert_video", "source", fps=24),
)
JOINED = (_at("concat_videos", "sources"),)
FILES = (*PICTURES, *DOCUMENTS, *VIDEOS, *EDITED_PICTURES, *EDITED)
PAID = ("generate_image", "generate_video", "extend_video")

# --- files ---------------------------------------------------------------------------------------------------------

NOT_FILES = {
    "a folder above": "../outside/cat.png",
    "a folder above, hidden": "sub/../../outside/cat.png",
    "a folder above, from the root": "{inside}/../outside/cat.png",
    "another folder": "{outside}/cat.png",
    "a link": "link-cat.png",
    "a link to a text": "link-secret.txt",
    "a link to a film": "link-clip.mp4",
    "a linked folder": "folder-link/cat.png",
    "a link in a circle": "circle",
    "a link that leads nowhere": "nothing-there",
    "the environment": "/proc/self/environ",
    "the environment by a link": "environ",
    "the memory": "/proc/self/mem",
    "an open file": "/proc/self/fd/0",
    "its own folder": "/proc/self/cwd/../outside/cat.png",
    "zeros without end": "/dev/zero",
    "standard input": "/dev/stdin",
    "the terminal": "/dev/tty",
    "passwords": "/etc/passwd",
    "a pipe": "pipe.png",
    "a socket": "socket.png",
    "a file of ten terabytes": "sparse.png",
    "an empty file": "empty.png",
    "a folder": "folder.png",
    "this folder": ".",
    "the root": "/",
    "no character": " ",
    "a zero": "cat.png\0.txt",
    "only a zero": "\0",
    "a line feed": "cat.png\n",
    "a command for the terminal": "\x1b]0;owned\x07\x1b[2Jcat.png",
    "text turned around": "\u202egnp.tac",
    "half a character": "\ud800.png",
    "a name of 10,000 characters": "n" * 10_000,
    "10,000 folders": "a/" * 10_000 + "cat.png",
    "a Windows share": r"\\evil.example\share\cat.png",
    "a Windows share, turned": "//evil.example/share/cat.png",
    "a Windows device": r"\\.\PhysicalDrive0",
    "a long Windows path": r"\\?\C:\Windows\win.ini",
    "a Windows drive": r"C:\Windows\win.ini",
    "a Windows drive, short": "C:win.ini",
    "a name that Windows keeps": "CON",
    "a name that Windows keeps, with an ending": "NUL.png",
    "a stream of Windows": "cat.png::$DATA",
    "a name that ends with dots": "cat.png...",
    "a name that ends with a space": "cat.png ",
    "the home folder": "~",
    "the home folder of root": "~root/.ssh/id_rsa",
    "the home folder of nobody": "~no-such-user-at-all/x.png",
    "a file address of another machine": "file://evil.example/etc/passwd",
    "a file address": "file:///etc/passwd",
    "a file address of this machine": "file://localhost/etc/passwd",
    "a file address in signs": "file:///%65tc/passwd",
    "a file address with dots in signs": "file://{inside}/%2e%2e/outside/cat.png",
    "a file address with a zero": "file://{inside}/cat.png%00",
    "a file address without a path": "file:",
    "an artifact above": "mediagen://artifacts/../../etc/passwd",
    "an artifact in signs": "mediagen://artifacts/%2e%2e%2fcat.png",
    "an artifact without a name": "mediagen://artifacts/",
    "an artifact that is not there": "mediagen://artifacts/art_00000000000000000000000000",
    "an artifact with a wildcard": "mediagen://artifacts/%",
    "something else of ours": "mediagen://jobs/job_1",
    "a command": "$(touch owned)",
    "an option": "-i/etc/passwd",
}

# --- addresses -----------------------------------------------------------------------------------------------------

PRIVATE_HOSTS = (
    "127.0.0.1", "127.1", "127.0.0.1.", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
    "0.0.0.0", "0", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.0.0.1:22",
    "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "169.254.170.2", "2852039166",
    "168.63.129.16", "192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "[fe80::1%25eth0]", "[fe80::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[fec0::1]", "[100::1]",
    "[64:ff9b::127.0.0.1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]", "[2001:db8::1]",
    "localhost", "LOCALHOST", "localhost.", "a.localhost", "metadata", "metadata.google.internal",
    "METADATA.GOOGLE.INTERNAL.", "instance-data.ec2.internal", "printer.local", "router.lan", "nas.home.arpa",
    "intranet", "\u2460\u2461\u2466.0.0.1", "127\u30020\u30020\u30021", "\uff4cocalhost",
)  # fmt: skip
OTHER_ADDRESSES = {
    "http": "http://example.com/a{end}",
    "http to this machine": "http://127.0.0.1:1/a{end}",
    "ftp": "ftp://example.com/a{end}",
    "gopher": "gopher://127.0.0.1:70/_a{end}",
    "javascript": "javascript://example.com/a{end}",
    "a jar": "jar:https://example.com!/a{end}",
    "ldap": "ldap://example.com/a{end}",
    "a password": "https://user:hunter2@example.com/a{end}",
    "another host before a sign": "https://example.com@127.0.0.1/a{end}",
    "another host before a backslash": "https://example.com\\@127.0.0.1/a{end}",
    "no host": "https:///a{end}",
    "no host but a port": "https://:443/a{end}",
    "an impossible port": "https://example.com:99999/a{end}",
    "half a number": "https://[::1/a{end}",
    "a line feed": "https://example.com/a\r\nHost: evil.example/a{end}",
    "a zero": "https://example.com/\0/a{end}",
    "half a character": "https://example.com/\ud800/a{end}",
    "a bucket above": "gs://bucket-1/../other/a{end}",
    "a bucket without a name": "gs:///a{end}",
    "a bucket with a password": "gs://user:hunter2@bucket/a{end}",
    "a bucket with a zero": "gs://bucket-1/\0a{end}",
}

# --- data: URIs ----------------------------------------------------------------------------------------------------

DATA = {
    "nothing": "data:",
    "nothing encoded": "data:image/png;base64,",
    "no base64": "data:image/png;base64,????",
    "base64 cut off": "data:image/png;base64,iVBORw0KGgo",
    "another alphabet": "data:image/png;base64,iVBORw0KGgo\u0430",
    "a page": "data:text/html,<script>alert(1)</script>",
    "a type with a command": "data:image/\x1b[2Jpng;base64,AAAA",
    "a lie": "data:image/png;base64,PGh0bWw+",
    "a vector": "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>",
    "signs only": "data:image/png,%%%%",
    "half a character": "data:image/png;base64,\ud800",
    "300 megabytes of nothing": "data:image/png;base64," + "A" * 38_000_000,
}

# --- places for results --------------------------------------------------------------------------------------------

OUTPUT_FOLDERS = {
    "a zero": "a\0b",
    "only a zero": "\0",
    "half a character": "\ud800",
    "a file": "cat.png",
    "a folder in a file": "cat.png/sub",
    "a device": "/dev/null",
    "below a device": "/dev/null/sub",
    "the processes": "/proc/self/made",
    "a pipe": "pipe.png",
    "a link in a circle": "circle",
    "a name of 4,000 characters": "n" * 4000,
    "a name of 5,000 characters": "n" * 5000,
    "the home folder of nobody": "~no-such-user-at-all/x",
    "nothing": "",
}
BUCKETS = {
    "a path": "/tmp",
    "https": "https://storage.googleapis.com/bucket-1/",
    "above": "gs://bucket-1/../other/",
    "a step above in the middle": "gs://bucket-1/a/../../b/",
    "no bucket": "gs://",
    "a host": "gs://evil.example:443/x",
    "a password": "gs://user:hunter2@bucket-1/",
    "a question": "gs://bucket-1?x=y/",
    "a line feed": "gs://bucket-1/a\r\nx-goog-api-key: 1/",
    "a zero": "gs://bucket-1/\0/",
    "half a character": "gs://bucket-1/\ud800/",
    "a command for the terminal": "gs://bucket-1/\x1b[2J/",
    "a name of 2,000 characters": "gs://bucket-1/" + "n" * 2000,
}

# --- words ---------------------------------------------------------------------------------------------------------


def _nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


NO_TEXT: dict[str, Any] = {
    "a zero": "a\0b",
    "only a zero": "\0",
    "half a character": "a\ud800b",
    "ten megabytes": "a" * 10_000_000,
    "nothing": "",
    "a number": 7,
    "a list": ["a"],
    "an object": {"a": "b"},
    "a nest of lists": _nested(90),
    "yes": True,
}
NO_NAME: dict[str, Any] = {
    **NO_TEXT,
    "above": "../../x",
    "an address": "https://evil.example/x",
    "a question": "x?key=1#",
    "a command for the terminal": "\x1b]0;owned\x07x",
    "a line feed": "x\r\nhost: evil.example",
    "text turned around": "x\u202ey",
}
PROMPTS = (
    _at("generate_image", "prompt"),
    _at("generate_image", "negative_prompt", prompt="p"),
    _at("generate_video", "prompt"),
    _at("generate_video", "negative_prompt", prompt="p"),
    _at("extend_video", "prompt", source="waves.mp4"),
    _at("extend_video", "negative_prompt", prompt="p", source="waves.mp4"),
)
NAMES = (
    *(_at("generate_image", field, prompt="p") for field in ("model", "profile", "preset", "aspect_ratio")),
    *(_at("generate_image", field, prompt="p") for field in ("image_size", "thinking_level", "person_generation")),
    *(_at("generate_image", field, prompt="p") for field in ("continue_from", "backend")),
    *(_at("generate_video", field, prompt="p") for field in ("model", "profile", "preset", "aspect_ratio", "mode")),
    *(_at("generate_video", field, prompt="p") for field in ("resolution", "person_generation", "resize_mode")),
    *(_at("generate_video", field, prompt="p", remix_from="waves.mp4") for field in ("remix_start", "remix_end")),
    _at("generate_video", "compression_quality", prompt="p"),
    _at("generate_video", "mask_mode", prompt="p", video="waves.mp4"),
    *(_at("extend_video", field, prompt="p", source="waves.mp4") for field in ("model", "profile", "resolution")),
    *(_at("check_api", field) for field in ("backend", "profile")),
    *(_at("estimate_cost", field, kind="image") for field in ("model", "profile", "preset", "image_size", "backend")),
    *(_at("estimate_cost", field, kind="video") for field in ("model", "resolution")),
    _at("estimate_cost", "kind"),
    *(_at(tool, "job_id") for tool in ("get_job", "cancel_job")),
    *(_at("list_jobs", field) for field in ("status", "kind", "cursor")),
    *(_at("get_spend", field) for field in ("by", "since", "until")),
    _at("convert_video", "format", source="waves.mp4"),
    _at("resize_image", "format", source="cat.png"),
)
MOMENTS = (
    _at("extract_frame", "at", source="waves.mp4"),
    _at("trim_video", "start", source="waves.mp4"),
    _at("trim_video", "end", source="waves.mp4"),
)
# A moment may be a number.
NO_MOMENT = {**{name: value for name, value in NO_NAME.items() if name != "a number"}, "long ago": -7}
# Words that may be any text that can be kept.
FREE_WORDS = (
    *(_at(tool, "request_id", prompt="p") for tool in ("generate_image", "generate_video")),
    *(_at(tool, "output_name", prompt="p") for tool in ("generate_image", "generate_video")),
    _at("extend_video", "output_name", prompt="p", source="waves.mp4"),
    _at("extract_frame", "output_name", source="waves.mp4"),
    _at("list_jobs", "query"),
    _at("check_api", "filter"),
    _at("check_api", "model"),
)
FOLDERS = (
    _at("generate_image", "output_dir", prompt="p"),
    _at("generate_video", "output_dir", prompt="p"),
    _at("extend_video", "output_dir", prompt="p", source="waves.mp4"),
    _at("extract_frame", "output_dir", source="waves.mp4"),
    _at("resize_image", "output_dir", source="cat.png", width=9),
)
PREFIXES = (
    _at("generate_image", "upload_to", prompt="p"),
    _at("generate_video", "upload_to", prompt="p"),
    _at("generate_video", "storage_uri", prompt="p"),
    _at("extend_video", "storage_uri", prompt="p", source="waves.mp4"),
)

NUMBERS: dict[str, Any] = {
    "beyond all": 10**30,
    "less than nothing": -1,
    "no number": "NaN",
    "without end": "1e999",
    "a word": "many",
    "a list": [1],
    "a nest of lists": _nested(90),
    "thousands of digits": "9" * 5000,
}
COUNTED = (
    *(_at("generate_image", field, prompt="p") for field in ("count", "seed", "max_usd", "wait_seconds")),
    *(_at("generate_video", field, prompt="p") for field in ("count", "seed", "duration_seconds", "max_usd")),
    *(_at("extend_video", field, prompt="p", source="waves.mp4") for field in ("times", "duration_seconds")),
    _at("estimate_cost", "count", kind="image"),
    _at("estimate_cost", "duration_seconds", kind="video"),
    _at("get_job", "wait_seconds", job_id="job_1"),
    _at("list_jobs", "limit"),
    _at("convert_video", "width", source="waves.mp4"),
    _at("convert_video", "fps", source="waves.mp4"),
    _at("resize_image", "width", source="cat.png"),
    _at("resize_image", "quality", source="cat.png", width=9),
    _at("add_audio", "volume", source="waves.mp4", audio="waves.mp4"),
)

LISTS: dict[str, Any] = {
    "10,000 entries": ["cat.png"] * 10_000,
    "numbers": [1, 2],
    "nothing known": [None],
    "lists": [["cat.png"]],
    "objects": [{"path": "cat.png"}],
    "a nest of lists": _nested(90),
    "an object": {"0": "cat.png"},
    "lists without end as text": "[" * 100_000,
    "10,000 entries as text": "[" + ",".join(['"cat.png"'] * 10_000) + "]",
    "a number of thousands of digits as text": "[" + "9" * 5000 + "]",
    "half a character as text": '["\\ud800.png"]',
    "a zero as text": '["cat.png\\u0000"]',
}
LISTED = (
    _at("generate_image", "input_images", prompt="p"),
    _at("generate_image", "documents", prompt="p"),
    _at("generate_video", "reference_images", prompt="p"),
    _at("extend_video", "reference_images", prompt="p", source="waves.mp4"),
    _at("concat_videos", "sources"),
)


def filled(values: dict[str, Any], places: tuple[Place, ...]) -> Iterator[tuple[str, Place, Any]]:
    """Each value in each place."""
    yield from ((f"{place}: {name}", place, value) for place in places for name, value in values.items())


def addresses(end: str) -> dict[str, str]:
    """Every address that leads to a private network, or is none."""
    private = {host: f"https://{host}/a{end}" for host in PRIVATE_HOSTS}
    return {**private, **{name: address.replace("{end}", end) for name, address in OTHER_ADDRESSES.items()}}


def names_of(kind: str) -> dict[str, str]:
    """The traps of one kind by their names."""
    match kind:
        case "pictures":
            found = list(pictures())
        case "films":
            found = list(films())
        case _:
            found = list(texts())
    return dict(zip(found, found, strict=True))
