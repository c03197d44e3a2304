"""What the data path reaches Google through; the composition root gives it."""

from typing import TYPE_CHECKING, Protocol

from mediagen.credentials import Identity
from mediagen.endpoints.base import Endpoint
from mediagen.routing import Route
from mediagen.runner.collect import Bucket

if TYPE_CHECKING:
    from mediagen.storage.gcs_check import BucketCheck


class CheckedBucket(Bucket, Protocol):
    """Cloud Storage that can be looked over."""

    async def check(self, bucket: str) -> "BucketCheck":
        """Test whether a bucket exists and can be used; failures are told, not raised."""
        ...


class Endpoints(Protocol):
    """Opens endpoints by route; one is shared by all calls to the same address."""

    async def base_url(self, route: Route) -> str:
        """Address of the route; starts the built-in emulator if it is needed."""
        ...

    async def at(self, route: Route, project: str | None) -> Endpoint:
        """The endpoint of a route, with the credentials of a configured project."""
        ...

    async def bucket(self, project: str | None, backend: str) -> CheckedBucket:
        """Cloud Storage with the credentials of a configured project."""
        ...

    async def identity(self, route: Route, project: str | None) -> Identity:
        """Whose credentials a route uses."""
        ...
