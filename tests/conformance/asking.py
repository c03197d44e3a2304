"""Tools and a prompt of the conformance suite that ask the client: in the call, or by an answer that asks for more."""

import json
from collections.abc import Mapping
from typing import Any

from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.prompts.base import Prompt, UserMessage
from mcp.server.mcpserver.tools import Tool
from mcp.types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    SamplingMessage,
    TextContent,
)
from tests.conformance.answers import as_tools

Asked = str | InputRequiredResult
CHOICES = ["active", "inactive", "pending"]


def form(message: str, properties: Mapping[str, Any], *, required: tuple[str, ...] | None = None) -> ElicitRequest:
    """A question to the user; all fields are required unless said otherwise."""
    schema = {"type": "object", "properties": dict(properties), "required": [*(required or properties)]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def ask_name(message: str = "What is your name?") -> ElicitRequest:
    """Ask for a name."""
    return form(message, {"name": {"type": "string"}})


def _ask_model(text: str, max_tokens: int) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=text))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=max_tokens))


def said(context: Context[Any], key: str, field: str) -> Any:
    """One field of the answer to a question; None when the question was not answered."""
    answer = (context.input_responses or {}).get(key)
    return answer.content.get(field) if isinstance(answer, ElicitResult) and answer.content else None


async def test_sampling(prompt: str, context: Context[Any]) -> str:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
    result = await context.session.create_message(
        messages=[message], max_tokens=100, related_request_id=context.request_id
    )
    return f"LLM response: {result.content.text if result.content.type == 'text' else result.content.type}"


async def _elicit(context: Context[Any], message: str, properties: Mapping[str, Any]) -> str:
    question = form(message, properties)
    assert isinstance(question.params, ElicitRequestFormParams)
    answer = await context.session.elicit_form(message, question.params.requested_schema, context.request_id)
    return f"action={answer.action}, content={json.dumps(answer.content)}"


async def test_elicitation(message: str, context: Context[Any]) -> str:
    fields = {"username": {"type": "string"}, "email": {"type": "string"}}
    return f"User response: {await _elicit(context, message, fields)}"


async def test_elicitation_sep1034_defaults(context: Context[Any]) -> str:
    fields = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": CHOICES, "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    return f"Elicitation completed: {await _elicit(context, 'Who are you?', fields)}"


async def test_elicitation_sep1330_enums(context: Context[Any]) -> str:
    titled = [{"const": f"value{number}", "title": f"Option {number}"} for number in (1, 2, 3)]
    names = ["opt1", "opt2", "opt3"]
    fields = {
        "untitledSingle": {"type": "string", "enum": names},
        "titledSingle": {"type": "string", "oneOf": titled},
        "legacyEnum": {"type": "string", "enum": names, "enumNames": ["One", "Two", "Three"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": names}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled}},
    }
    return f"Elicitation completed: {await _elicit(context, 'Choose.', fields)}"


async def test_missing_capability(context: Context[Any]) -> str:
    capabilities = context.client_capabilities
    if capabilities is None or capabilities.sampling is None:
        raise MCPError(
            code=MISSING_REQUIRED_CLIENT_CAPABILITY,
            message="This tool needs the client capability sampling.",
            data={"requiredCapabilities": {"sampling": {}}},
        )
    return "sampling is declared"


async def test_input_required_result_elicitation(context: Context[Any]) -> Asked:
    name = said(context, "user_name", "name")
    return f"Hello, {name}!" if name else InputRequiredResult(input_requests={"user_name": ask_name()})


async def test_input_required_result_sampling(context: Context[Any]) -> Asked:
    answer = (context.input_responses or {}).get("capital_question")
    if isinstance(answer, CreateMessageResult) and answer.content.type == "text":
        return answer.content.text
    question = _ask_model("What is the capital of France?", 100)
    return InputRequiredResult(input_requests={"capital_question": question})


async def test_input_required_result_list_roots(context: Context[Any]) -> Asked:
    answer = (context.input_responses or {}).get("client_roots")
    if isinstance(answer, ListRootsResult):
        return f"roots: {', '.join(str(root.uri) for root in answer.roots)}"
    return InputRequiredResult(input_requests={"client_roots": ListRootsRequest()})


def _confirm() -> ElicitRequest:
    return form("Please confirm", {"ok": {"type": "boolean"}})


async def test_input_required_result_request_state(context: Context[Any]) -> Asked:
    if context.request_state == "asked" and said(context, "confirm", "ok") is not None:
        return "state-ok"
    return InputRequiredResult(input_requests={"confirm": _confirm()}, request_state="asked")


async def test_input_required_result_tampered_state(context: Context[Any]) -> Asked:
    if context.request_state is not None:
        return f"state-ok: {context.request_state}"
    return InputRequiredResult(input_requests={"confirm": _confirm()}, request_state="asked")


async def test_input_required_result_multiple_inputs(context: Context[Any]) -> Asked:
    questions: dict[str, InputRequest] = {
        "user_name": ask_name(),
        "greeting": _ask_model("Generate a greeting", 50),
        "client_roots": ListRootsRequest(),
    }
    if questions.keys() <= (context.input_responses or {}).keys():
        return "All inputs are here."
    return InputRequiredResult(input_requests=questions, request_state="asked")


async def test_input_required_result_multi_round(context: Context[Any]) -> Asked:
    state = json.loads(context.request_state or "{}")
    color = said(context, "step2", "color")
    if "name" in state and color:
        return f"{state['name']} likes {color}."
    name = said(context, "step1", "name")
    if state and name:
        question = form("Step 2: What is your favorite color?", {"color": {"type": "string"}})
        return InputRequiredResult(input_requests={"step2": question}, request_state=json.dumps({"name": name}))
    first = ask_name("Step 1: What is your name?")
    return InputRequiredResult(input_requests={"step1": first}, request_state=json.dumps({"round": 1}))


async def test_input_required_result_capabilities(context: Context[Any]) -> InputRequiredResult:
    capabilities = context.client_capabilities
    questions: dict[str, InputRequest] = {}
    if capabilities and capabilities.sampling is not None:
        questions["sample"] = _ask_model("Say hello", 50)
    if capabilities and capabilities.elicitation is not None:
        questions["ask"] = ask_name()
    return InputRequiredResult(input_requests=questions, request_state="asked")


async def test_input_required_result_prompt(context: Context[Any]) -> list[UserMessage] | InputRequiredResult:
    text = said(context, "user_context", "context")
    if text:
        return [UserMessage(f"Use the following context: {text}")]
    question = form("What context should the prompt use?", {"context": {"type": "string"}})
    return InputRequiredResult(input_requests={"user_context": question})


def asking_tools() -> list[Tool]:
    """All tools of this module."""
    return as_tools(
        (
            test_sampling,
            test_elicitation,
            test_elicitation_sep1034_defaults,
            test_elicitation_sep1330_enums,
            test_missing_capability,
            test_input_required_result_elicitation,
            test_input_required_result_sampling,
            test_input_required_result_list_roots,
            test_input_required_result_request_state,
            test_input_required_result_tampered_state,
            test_input_required_result_multiple_inputs,
            test_input_required_result_multi_round,
            test_input_required_result_capabilities,
        )
    )


def add_asking_prompt(server: MCPServer[Any]) -> None:
    """The prompt that asks the client first."""
    server.add_prompt(Prompt.from_function(test_input_required_result_prompt, description="Asks for a context."))
