"""The endpoint that makes pictures: POST models/M:generateContent."""

import base64
import hashlib
import json
import secrets
from dataclasses import replace
from decimal import Decimal
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mediagen.emulator.answers import bad_request, google_error, no_answer
from mediagen.emulator.callers import check_caller
from mediagen.emulator.catalogue import EmulatedModel, ImageModel, VeoModel, VideoModel
from mediagen.emulator.cloud import Sources
from mediagen.emulator.faults import ACCEPTED, PICTURE, Fault
from mediagen.emulator.image_request import ImageRequest, read_image_request
from mediagen.emulator.manifest import sign_picture
from mediagen.emulator.models_api import token_count
from mediagen.emulator.pictures import PictureOrder, draw_picture
from mediagen.emulator.publisher import find_served_model, generation_checker, refuse_unready_agents, sources_of
from mediagen.emulator.reading import read_json
from mediagen.emulator.schema import snake_keys
from mediagen.emulator.world import World

MILLION = Decimal(1_000_000)
REFUSAL = "I cannot draw that."
REFUSAL_TOKENS = 9
BROKEN_BASE64 = "@@not base64@@"
Part = dict[str, Any]


class GenerateContentApi:
    """Makes pictures, or fails to."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def generate(self, request: Request) -> Response:
        """Make one picture. Would cost money at Google."""
        body = await read_json(request)
        violations = generation_checker(request).check(body, "GenerateContentRequest")
        if violations:
            raise bad_request(violations)
        check_caller(request)
        model = find_served_model(request, "generateContent")
        if isinstance(model, VideoModel):
            raise google_error(400, "This model only supports Interactions API.")
        if isinstance(model, VeoModel):
            raise google_error(400, f"{model.name} is not supported in the generateContent API.")
        refuse_unready_agents(self._world, request)
        plain = snake_keys(body)
        if not isinstance(model, ImageModel):
            prompt_tokens = token_count(plain.get("contents") or [])
            return JSONResponse(_text_answer(model, "Hello from the mediagen emulator.", prompt_tokens))
        sources = sources_of(self._world, request)
        wanted = await read_image_request(plain, model, sources)
        await anyio.sleep(self._world.settings.image_seconds)
        fault = self._fault(request)
        answer = await self._answer(model, plain, wanted, fault)
        kind = fault.kind if fault else ""
        if kind != "lost_after_accept":
            self.charge(model, answer, operation=answer["responseId"], task="generate_content")
        return no_answer(kind) if kind in ACCEPTED else JSONResponse(answer)

    async def make(
        self, plain: dict[str, Any], model: ImageModel, sources: Sources, fault: Fault | None
    ) -> dict[str, Any]:
        """Give the answer to a request whose fields are all known, in snake case.

        Raises:
            ApiError: The model cannot do that.
        """
        return await self._answer(model, plain, await read_image_request(plain, model, sources), fault)

    def _fault(self, request: Request) -> Fault | None:
        magic: list[Fault] = request.scope.get("mediagen.magic", [])
        scripted = self._world.faults.take(PICTURE, method=request.method, path=request.url.path)
        return scripted or next((fault for fault in magic if fault.kind in PICTURE), None)

    async def _answer(
        self, model: ImageModel, plain: dict[str, Any], wanted: ImageRequest, fault: Fault | None
    ) -> dict[str, Any]:
        prompt_tokens = token_count(plain.get("contents") or [])
        kind = fault.kind if fault else ""
        if fault is not None and kind in {"image_finish", "prompt_blocked"}:
            return _refusal(model, fault, prompt_tokens)
        if fault is not None and (kind == "text_only" or not wanted.wants_image):
            return _text_answer(model, fault.text("text", REFUSAL), prompt_tokens)
        if not wanted.wants_image:
            return _text_answer(model, "Here you go.", prompt_tokens)
        digest = hashlib.sha256(json.dumps([model.name, plain], sort_keys=True).encode()).digest()
        order = PictureOrder(size=wanted.size, digest=digest, inputs=wanted.inputs, mime_type=wanted.mime_type)
        parts = await self._parts(wanted, order, kind)
        tokens = dict(model.image_tokens)[wanted.image_size] * (2 if kind == "two_images" else 1)
        return _picture_answer(model, parts, prompt_tokens, tokens)

    async def _parts(self, wanted: ImageRequest, order: PictureOrder, kind: str) -> list[Part]:
        parts: list[Part] = [{"text": "Here you go."}] if wanted.wants_text else []
        if kind in {"thought_parts", "two_images"}:
            other = replace(order, digest=hashlib.sha256(order.digest).digest(), size=(512, 512))
            draft = await self._picture(other if kind == "thought_parts" else replace(other, size=order.size))
            if kind == "thought_parts":
                draft["thought"] = True
                parts = [draft, {"text": "planning", "thought": True}]
            else:
                parts.append(draft)
        picture = await self._picture(order)
        if kind == "bad_base64":
            picture["inlineData"]["data"] = BROKEN_BASE64
        picture["thoughtSignature"] = base64.b64encode(order.digest).decode()
        return [*parts, picture]

    async def _picture(self, order: PictureOrder) -> Part:
        content = await anyio.to_thread.run_sync(draw_picture, order)
        if self._world.settings.signed:
            content = sign_picture(content)
        self._world.files.note_served(
            f"picture-{secrets.token_hex(4)}",
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            mime_type=order.mime_type,
        )
        return {"inlineData": {"mimeType": order.mime_type, "data": base64.b64encode(content).decode()}}

    def charge(
        self, model: ImageModel, answer: dict[str, Any], *, operation: str, task: str, share: Decimal = Decimal(1)
    ) -> None:
        """Put an answer on the bill, unless it is a refusal, which costs nothing."""
        usage = answer["usageMetadata"]
        if "candidatesTokenCount" not in usage:
            return
        rate = model.image_price if usage.get("candidatesTokensDetails") else model.text_price
        usd = (usage["promptTokenCount"] * model.input_price + usage["candidatesTokenCount"] * rate) / MILLION
        self._world.bill.add(
            model=model.name,
            kind="image",
            operation=operation,
            task=task,
            usd=usd * share,
        )


def _usage(prompt_tokens: int, output_tokens: int) -> dict[str, Any]:
    usage = {"promptTokenCount": prompt_tokens, "totalTokenCount": prompt_tokens + output_tokens}
    return usage | {"candidatesTokenCount": output_tokens} if output_tokens else usage


def _frame(model: EmulatedModel, prompt_tokens: int, output_tokens: int) -> dict[str, Any]:
    return {
        "usageMetadata": _usage(prompt_tokens, output_tokens),
        "modelVersion": model.name,
        "responseId": secrets.token_urlsafe(12),
    }


def _candidate(parts: list[Part]) -> dict[str, Any]:
    return {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}


def _text_answer(model: EmulatedModel, text: str, prompt_tokens: int) -> dict[str, Any]:
    return {"candidates": [_candidate([{"text": text}])], **_frame(model, prompt_tokens, REFUSAL_TOKENS)}


def _picture_answer(model: ImageModel, parts: list[Part], prompt_tokens: int, tokens: int) -> dict[str, Any]:
    answer = {"candidates": [_candidate(parts)], **_frame(model, prompt_tokens, tokens)}
    answer["usageMetadata"]["candidatesTokensDetails"] = [{"modality": "IMAGE", "tokenCount": tokens}]
    return answer


def _refusal(model: ImageModel, fault: Fault, prompt_tokens: int) -> dict[str, Any]:
    frame = _frame(model, prompt_tokens, 0)
    if fault.kind == "prompt_blocked":
        reason = fault.text("reason", "PROHIBITED_CONTENT")
        return {"promptFeedback": {"blockReason": reason, "safetyRatings": []}, **frame}
    candidate = {
        "finishReason": fault.text("reason", "IMAGE_SAFETY"),
        "finishMessage": fault.text("message", "Unable to show the generated image."),
        "index": 0,
    }
    return {"candidates": [candidate], **frame}
