"""Composition root: settings → parts → what the server and the command line call. The only constructor of parts."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from mediagen.app.pool import EndpointPool
from mediagen.catalog import Catalog
from mediagen.endpoints.wire.body import GeminiBodies
from mediagen.generator.checks import Checks
from mediagen.generator.generator import SPOOL, Generator
from mediagen.generator.inputs import stored_file
from mediagen.generator.planner import Planner
from mediagen.generator.policy import Limits, Policy
from mediagen.ledger.ledger import Ledger
from mediagen.media.inputs import InputLoader
from mediagen.pricing import Prices
from mediagen.routing import Configured
from mediagen.runner.collect import Collector
from mediagen.runner.runner import Runner
from mediagen.runner.steps import CallSteps
from mediagen.settings import Settings, check_supported
from mediagen.storage.local import LocalStorage


@dataclass(frozen=True, kw_only=True, slots=True)
class App:
    """What the server and the command line work with, while it is open."""

    settings: Settings
    generator: Generator
    checks: Checks
    runner: Runner


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


@asynccontextmanager
async def open_app(settings: Settings, *, confine_inputs: bool = True) -> AsyncIterator[App]:
    """Build all parts and close them again.

    Args:
        settings: What the environment says.
        confine_inputs: Whether input files must lie in the input roots; False only where a person typed the path.

    Raises:
        ConfigurationError: A setting that this version cannot honour.
    """
    check_supported(settings)
    state = settings.folder_for_state()
    async with AsyncExitStack() as stack:
        ledger = Ledger(state / "ledger.sqlite3", clock=now)
        stack.push_async_callback(ledger.aclose)
        pool = _pool(settings, state)
        stack.push_async_callback(pool.aclose)
        steps = _steps(ledger, pool, settings)
        runner = await stack.enter_async_context(Runner(steps))
        policy = _policy(settings)
        planner = _planner(policy, steps, _roots(settings, confine_inputs))
        generator = Generator(
            policy=policy,
            planner=planner,
            ledger=ledger,
            runner=runner,
            storage=steps.collector.storage,
            endpoints=pool,
            clock=now,
        )
        yield App(
            settings=settings,
            generator=generator,
            checks=Checks(policy=policy, planner=planner, endpoints=pool),
            runner=runner,
        )


def _steps(ledger: Ledger, pool: EndpointPool, settings: Settings) -> CallSteps:
    collector = Collector(
        ledger=ledger,
        endpoints=pool,
        storage=LocalStorage(),
        prices=Prices.load(),
        spool=settings.folder_for_state() / SPOOL,
        clock=now,
    )
    return CallSteps(ledger=ledger, endpoints=pool, collector=collector, poll_seconds=settings.poll_seconds, clock=now)


def _roots(settings: Settings, confine_inputs: bool) -> tuple[Path, ...] | None:
    return settings.roots_for_inputs() if confine_inputs or settings.input_roots is not None else None


def _planner(policy: Policy, steps: CallSteps, roots: tuple[Path, ...] | None) -> Planner:
    return Planner(
        policy=policy,
        catalog=Catalog.load(),
        prices=steps.collector.prices,
        ledger=steps.ledger,
        loader=InputLoader(roots=roots, resolve_artifact=partial(stored_file, steps.ledger)),
        encoder=GeminiBodies(),
        clock=now,
    )


def _pool(settings: Settings, state: Path) -> EndpointPool:
    return EndpointPool(
        key=settings.gemini_api_key,
        key_source=settings.gemini_key_source,
        api_version="v1beta" if settings.gemini_api_version == "beta" else settings.gemini_api_version,
        state_dir=state,
        ffmpeg=settings.ffmpeg,
    )


def _policy(settings: Settings) -> Policy:
    return Policy(
        backend=settings.backend,
        configured=Configured(
            has_gemini_key=settings.gemini_api_key is not None,
            gemini_base_url=settings.gemini_base_url,
            other_variables=settings.found_variables,
        ),
        key_source=settings.gemini_key_source,
        folder=settings.folder_for_files(),
        folder_origin="environment" if settings.output_dir else "default",
        state_folder=settings.folder_for_state(),
        limits=Limits(
            per_call_usd=settings.max_usd_per_call,
            per_day_usd=settings.max_usd_per_day,
            per_month_usd=settings.max_usd_per_month,
            confirm_above_usd=settings.confirm_above_usd,
        ),
        wait_seconds=settings.wait_seconds,
        ffmpeg=settings.ffmpeg,
    )
