"""Shows how a file was made, and repeats it."""

import argparse
from collections.abc import Mapping
from typing import Any

from mediagen.app.app import App
from mediagen.cli.console import print_error, print_report
from mediagen.cli.parser import COMMANDS
from mediagen.generator.repeating import repeated, told
from mediagen.report.record import record_summary
from mediagen.requests import GenerationRequest


async def show_record(app: App, namespace: argparse.Namespace) -> int:
    """Print the record of a file; returns the exit code.

    Raises:
        InvalidRequestError, JobNotFoundError, MediaError: There is none to show.
    """
    found = await app.records.find(namespace.file)
    print_report(found, record_summary(found), as_json=namespace.json)
    return 0


async def repeated_request(app: App, namespace: argparse.Namespace, values: Mapping[str, Any]) -> GenerationRequest:
    """The request of a record, with what was given on the command line instead of what the record says.

    Raises:
        InvalidRequestError, JobNotFoundError, MediaError: There is no such record, or it cannot be repeated.
    """
    request_type = COMMANDS[namespace.command][0]
    assert issubclass(request_type, GenerationRequest)
    found = await app.records.find(namespace.like)
    taken = await repeated(found, request_type, values, loader=app.records.loader)
    request = request_type.model_validate({**taken.values, **values}).taken_from_record(taken.values)
    print_error(told(found, taken))
    return request
