"""Who calls: the one place where a request becomes the app of its principal."""

from typing import Any

from mcp.server import ServerRequestContext
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver import Context
from pydantic import BaseModel

from mediagen.app.app import App
from mediagen.errors import InvalidRequestError

PRINCIPAL_CLAIM = "mediagen_principal"


def app_of(context: Context[Any, Any] | ServerRequestContext[Any, Any]) -> App:
    """The app as the caller of a request works with it; whoever owns the machine sees all.

    Raises:
        AuthenticationError: The server is shared, and the request is nobody's.
    """
    request = context.request_context if isinstance(context, Context) else context
    app: App = request.lifespan_context.app
    return app.of(principal_of_request())


def principal_of_request() -> str | None:
    """Whose request is being answered; None when none was authenticated."""
    token = get_access_token()
    return None if token is None else str((token.claims or {})[PRINCIPAL_CLAIM])


def refuse_folders(app: App, request: BaseModel) -> None:
    """Keep callers from elsewhere from naming a folder of this machine.

    Raises:
        InvalidRequestError: The request names one.
    """
    if app.principal is not None and getattr(request, "output_dir", None):
        raise InvalidRequestError(
            "output_dir is a folder of the server's machine, which only its owner may name.",
            field="output_dir",
            hint="Leave it out: every file of the answer has an address (url) from which it can be downloaded. "
            "upload_to copies them to a bucket.",
            code="path_not_accepted",
        )
