"""The command line, made from the same request models as the tools."""

import argparse
import types
import typing
from decimal import Decimal
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mediagen import __version__, requests
from mediagen.cli.batch import add_batch
from mediagen.cli.worker import add_worker

# Request, names of the arguments without a dash, help.
Command = tuple[type[BaseModel], str, str]
EDITS: dict[str, Command] = {
    "probe": (requests.ProbeMediaRequest, "source", "what a file is: size, length, codecs (free)"),
    "frame": (requests.ExtractFrameRequest, "source", "one frame of a video as a picture (free)"),
    "trim": (requests.TrimVideoRequest, "source", "a part of a video (free)"),
    "concat": (requests.ConcatVideosRequest, "sources", "several videos one after the other (free)"),
    "audio": (requests.AddAudioRequest, "source audio", "a video with more or other sound (free)"),
    "convert": (requests.ConvertVideoRequest, "source", "a video in another format, size or frame rate (free)"),
    "resize": (requests.ResizeImageRequest, "source", "a picture in another size or format (free)"),
}
COMMANDS: dict[str, Command] = {
    "image": (requests.GenerateImageRequest, "prompt", "make or edit pictures (costs money)"),
    "video": (requests.GenerateVideoRequest, "prompt", "make a clip (costs money)"),
    "extend": (requests.ExtendVideoRequest, "source", "continue a clip (costs money)"),
    "check": (requests.CheckApiRequest, "", "test key, address, models and this machine"),
    "cost": (requests.EstimateCostRequest, "kind", "price of a job before it is made"),
    "spend": (requests.GetSpendRequest, "", "money spent, by day, month, model, profile or status"),
    **EDITS,
}

LIKE = (
    "repeat the generation of this file (or job id, or mediagen://artifacts/<id>) from its record; what is given "
    "besides wins"
)
CSV = "write a table to a new file, or to standard output when no FILE is given"
RESOLVE = (
    "For a job whose paid request was sent and never answered. Look at your bill at Google first: --as billed counts "
    "the quote as spent, --as not-billed sets it free. With --operation the job goes on, and its file is fetched. A "
    "clip that lies in the job's folder of a bucket is fetched whatever is said."
)
SHOW = (
    "Finds the record of a generation in the ledger by the content of the file (so it may have been renamed and "
    "moved), beside the file, or inside it."
)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(prog="mediagen", description="Pictures and films on Google's media models.")
    parser.add_argument("--version", action="version", version=f"mediagen {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (request, positional, help_text) in COMMANDS.items():
        command = commands.add_parser(name, help=help_text, description=request.__doc__)
        # With --like the record says what was not given; the request itself misses what nobody says.
        may_be_like = issubclass(request, requests.GenerationRequest)
        _add_request(command, request, positional, all_optional=may_be_like)
        if may_be_like:
            command.add_argument("--like", metavar="FILE", help=LIKE)
            command.add_argument(
                "--show-defaults", action="store_true", help="show every value with its origin, and send nothing"
            )
        if request is requests.GetSpendRequest:
            command.add_argument("--csv", metavar="FILE", nargs="?", const="-", help=CSV)
        _add_json(command)
    show = commands.add_parser("show", help="how a file was made: prompt, model, price, sources", description=SHOW)
    show.add_argument("file", metavar="FILE", help="path of a file, mediagen://artifacts/<id> or a job id")
    _add_json(show)
    _add_jobs(commands)
    models = commands.add_parser("models", help="models of the catalogue, with prices")
    _add_json(models)
    _add_config(commands)
    serve = commands.add_parser("serve", help="the MCP server (stdio, or --http)")
    serve.add_argument("--http", action="store_true", help="Streamable HTTP instead of stdio")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on; others need a token, too")
    serve.add_argument("--port", type=int, default=8765, help="port to listen on")
    add_batch(commands)
    add_worker(commands)
    commands.add_parser("emulator", help="a free local stand-in for Google's API", add_help=False)
    demo = commands.add_parser("demo", help="the whole job on the emulator, through a real MCP client")
    demo.add_argument("--live", action="store_true", help="make one picture with your key, after asking")
    demo.add_argument("--output-dir", default="demo-output", help="folder for the files")
    return parser


def request_values(namespace: argparse.Namespace, request: type[BaseModel]) -> dict[str, Any]:
    """The options that were given, under the names of the request."""
    given = vars(namespace)
    return {name: given[name] for name in request.model_fields if given.get(name) is not None}


def _add_config(commands: Any) -> None:
    config = commands.add_parser("config", help="settings and profiles: show them, or set them up")
    config.add_argument(
        "action",
        choices=("show", "path", "setup"),
        help="show: every setting and profile; path: where things are kept; setup: make or change a profile",
    )
    _add_json(config)


def _add_jobs(commands: Any) -> None:
    jobs = commands.add_parser("jobs", help="follow jobs: list, show, wait, cancel, resume, resolve")
    actions = jobs.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="jobs of the ledger, newest first")
    _add_request(listing, requests.ListJobsRequest, "")
    for name, help_text in (
        ("show", "state, files and cost of a job"),
        ("wait", "wait until a job has ended"),
        ("cancel", "ask Google to stop a job"),
    ):
        action = actions.add_parser(name, help=help_text)
        action.add_argument("job_id")
    resolve = actions.add_parser("resolve", help="say what became of an unconfirmed job", description=RESOLVE)
    resolve.add_argument("job_id")
    resolve.add_argument("--as", dest="outcome", choices=("billed", "not-billed"), help="what Google's bill says")
    resolve.add_argument(
        "--operation", metavar="NAME", help="operation or interaction found at Google; goes on with it"
    )
    resume = actions.add_parser("resume", help="take over open jobs whose server is gone, and finish them")
    for action in (*actions.choices.values(),):
        _add_json(action)
    resume.description = "Runs until no open job is left."


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the structured result")


def _add_request(
    parser: argparse.ArgumentParser, request: type[BaseModel], positional: str, *, all_optional: bool = False
) -> None:
    for name, field in request.model_fields.items():
        required = field.is_required() and not all_optional
        if name in positional.split():
            nargs = "+" if _option_type(field.annotation)[1] else None if required else "?"
            parser.add_argument(name, nargs=nargs, help=_escape(field.description or ""))
        else:
            _add_option(parser, name, field, required=required)


def _add_option(parser: argparse.ArgumentParser, name: str, field: FieldInfo, *, required: bool) -> None:
    kind, is_list, choices = _option_type(field.annotation)
    flags = [f"--{name.replace('_', '-')}", *([f"--{name}"] if "_" in name else [])]
    options: dict[str, Any] = {
        "dest": name,
        "default": None,
        "help": _escape(field.description or ""),
        "required": required,
    }
    if kind is bool:
        parser.add_argument(*flags, action=argparse.BooleanOptionalAction, **options)
    elif is_list:
        parser.add_argument(*flags, action="append", metavar=name.upper().rstrip("S"), **options)
    else:
        parser.add_argument(*flags, choices=choices, metavar=None if choices else name.upper(), **options)


def _option_type(annotation: Any) -> tuple[type, bool, tuple[str, ...] | None]:
    """What kind of option a field needs: (type, repeatable, choices)."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _option_type(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return _option_type(next(option for option in arguments if option is not type(None)))
    if origin is list:
        return str, True, None
    if origin is typing.Literal:
        return str, False, arguments
    return (annotation if annotation in (bool, int, float, Decimal) else str), False, None


def _escape(text: str) -> str:
    return text.replace("%", "%%")
