"""The one boundary where arguments are checked and our errors become tool errors."""

from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, InputRequiredResult
from pydantic import BaseModel, Field, ValidationError

from mediagen.app.app import App
from mediagen.errors import MediaGenError
from mediagen.report.harmless import harmless
from mediagen.requests import GenerationRequest, explain_invalid
from mediagen.server import approval
from mediagen.server.approval import Handler
from mediagen.server.callers import app_of, refuse_folders
from mediagen.server.publishing import error_told, veiled


class RequestTool(Tool):
    """A tool whose arguments are one of our request models.

    Unknown arguments are refused instead of dropped, and every message is ours.
    """

    request_type: type[BaseModel] = Field(exclude=True)
    handler: Handler = Field(exclude=True)

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:
        """Validate, call, and translate errors."""
        try:
            request = self.request_type.model_validate(arguments)
        except ValidationError as error:
            # No `from error`: the cause would carry the caller's values into logs.
            raise ToolError(harmless(explain_invalid(error, self.request_type))) from None
        app: App | None = None
        try:
            app = app_of(context)
            refuse_folders(app, request)
            result = await self._answer(app, request, context)
            result = veiled(app, result) if isinstance(result, CallToolResult) else result
            return self.fn_metadata.convert_result(result) if convert_result else result
        except MediaGenError as error:
            raise ToolError(error_told(app, error)) from None
        except Exception as error:
            raise UnexpectedToolError(f"{self.name} failed because of a defect in mediagen.") from error

    async def _answer(
        self, app: App, request: BaseModel, context: Context[App]
    ) -> CallToolResult | InputRequiredResult:
        if isinstance(request, GenerationRequest):
            return await approval.answer_with_price(app, self.name, self.handler, request, context)
        return await self.handler(app, request, context)
