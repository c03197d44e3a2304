"""Change notices: one stream per `subscriptions/listen` of 2026-07-28, one outbox per session of the handshake era."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from mcp import MCPError
from mcp.server.mcpserver import Context
from mcp.server.subscriptions import (
    ListenHandler,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    SubscriptionBus,
)
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from mediagen.app.app import App
from mediagen.errors import JobNotFoundError, MediaGenError
from mediagen.jobs import Job
from mediagen.ledger.ids import JOB_ID
from mediagen.report.harmless import harmless
from mediagen.server.callers import app_of
from mediagen.server.publishing import error_told
from mediagen.server.registry import bus_of, connection_of
from mediagen.server.resources.definitions import JOB_PREFIX
from mediagen.server.resources.outbox import Outbox

MOST_ADDRESSES = 200
MOST_STREAMS = 256
MOST_STREAMS_OF_ONE = 128  # of those that have a token in common
OUTBOX = "mediagen.outbox"

Listener = Callable[[ServerEvent], None]
Unsubscribe = Callable[[], None]


class _StreamBus:
    """The events of one stream: those that the server publishes to all, and those of its caller's own jobs."""

    def __init__(self, shared: SubscriptionBus) -> None:
        self._shared = shared
        self._listeners: dict[object, Listener] = {}

    def subscribe(self, listener: Listener) -> Unsubscribe:
        """Register a listener; returns what ends it."""
        token = object()
        self._listeners[token] = listener
        leave = self._shared.subscribe(listener)

        def unsubscribe() -> None:
            self._listeners.pop(token, None)
            leave()

        return unsubscribe

    async def publish(self, event: ServerEvent) -> None:
        """Deliver to this stream only."""
        self.tell(event)

    def tell(self, event: ServerEvent) -> None:
        """Deliver to this stream only, at once."""
        for listener in [*self._listeners.values()]:
            listener(event)


async def listen(
    context: Context[Any], params: SubscriptionsListenRequestParams, _others: object
) -> SubscriptionsListenResult:
    """Tell one stream of changes, for as long as it is open."""
    addresses = [*dict.fromkeys(params.notifications.resource_subscriptions or ())]
    if len(addresses) > MOST_ADDRESSES:
        raise MCPError(INVALID_PARAMS, f"A stream takes at most {MOST_ADDRESSES} resources, not {len(addresses)}.")
    principal, streams = app_of(context).principal, _streams_of(context)
    if len(streams) >= MOST_STREAMS or [*streams.values()].count(principal) >= MOST_STREAMS_OF_ONE:
        raise MCPError(INTERNAL_ERROR, "Too many streams are open already; close one first.")
    bus, token = _StreamBus(bus_of(context.mcp_server)), object()
    streams[token] = principal
    try:
        async with _following(context, bus, addresses, wants_files=bool(params.notifications.resources_list_changed)):
            return await ListenHandler(bus)(context.request_context, params)
    except MediaGenError as error:
        raise MCPError(INTERNAL_ERROR, error_told(app_of(context), error)) from None
    finally:
        del streams[token]


def _streams_of(context: Context[Any]) -> dict[object, str | None]:
    """Whose each open stream of the server is."""
    streams: dict[object, str | None] = context.request_context.lifespan_context.streams
    return streams


@asynccontextmanager
async def _following(
    context: Context[Any], bus: _StreamBus, addresses: Iterable[str], *, wants_files: bool
) -> AsyncIterator[None]:
    app, stops = app_of(context), list[Unsubscribe]()
    try:
        for address in addresses:
            # An address that leads nowhere is accepted, and never tells anything.
            if job := await _job_at(app, address):
                stops.append(await _follow(app, job, partial(bus.tell, ResourceUpdated(uri=address))))
        if wants_files:
            stops.append(_follow_files(app, partial(bus.tell, ResourcesListChanged())))
        yield
    finally:
        for stop in stops:
            stop()


async def _follow(app: App, job: Job, listener: Callable[[], None]) -> Unsubscribe:
    return await app.runner.watcher.follow(job, listener)


def _follow_files(app: App, listener: Callable[[], None]) -> Unsubscribe:
    """Hear of new files of the jobs that this caller may see."""
    ledger, watcher = app.generator.ledger, app.runner.watcher

    async def tell_if_seen(job_id: str) -> None:
        try:
            if not watcher.looks_into(ledger):
                await ledger.get(job_id)
        except MediaGenError:
            return
        listener()

    return watcher.follow_files(tell_if_seen)


async def _job_at(app: App, address: str) -> Job | None:
    job_id = address.removeprefix(JOB_PREFIX)
    if job_id == address or not JOB_ID.fullmatch(job_id):
        return None
    try:
        return await app.generator.ledger.get(job_id)
    except JobNotFoundError:
        return None


def begin_session(context: Context[Any]) -> None:
    """Tell a session of the handshake era of new files from now on; it need not ask for that."""
    _outbox(context)


async def subscribe(context: Context[Any], params: SubscribeRequestParams, _others: object) -> EmptyResult:
    """Tell a session of changes of a job."""
    address, app, outbox = str(params.uri), app_of(context), _outbox(context)
    if address in outbox.addresses:
        return EmptyResult()
    if len(outbox.addresses) >= MOST_ADDRESSES:
        raise MCPError(INVALID_PARAMS, f"A session takes at most {MOST_ADDRESSES} subscriptions; end one first.")
    try:
        job = await _job_at(app, address)
        if address.startswith(JOB_PREFIX) and job is None:
            raise MCPError(INVALID_PARAMS, f"There is no resource {harmless(address[:200])!r}.", {"uri": address})
        # What is no job never changes: it is kept only so that the answer to unsubscribing is the same.
        stop = await _follow(app, job, partial(outbox.updated, address)) if job else None
    except MediaGenError as error:
        raise MCPError(INTERNAL_ERROR, error_told(app_of(context), error)) from None
    outbox.keep(address, stop)
    return EmptyResult()


async def unsubscribe(context: Context[Any], params: UnsubscribeRequestParams, _others: object) -> EmptyResult:
    """Tell a session no longer of changes of a job."""
    _outbox(context).drop(str(params.uri))
    return EmptyResult()


def _outbox(context: Context[Any]) -> Outbox:
    """The outbox of the session; made at first use, closed with the session."""
    connection = connection_of(context)
    outbox = connection.state.get(OUTBOX)
    if outbox is None:
        app = app_of(context)
        outbox = connection.state[OUTBOX] = Outbox(connection)
        outbox.keep("", _follow_files(app, outbox.list_changed))
        connection.exit_stack.callback(outbox.close)
        app.runner.watcher.start(outbox.send)
    assert isinstance(outbox, Outbox)
    return outbox
