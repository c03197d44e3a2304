"""The resources as data."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mcp.shared.uri_template import UriTemplate
from mcp.types import Resource, ResourceTemplate

from mediagen.app.app import App
from mediagen.server.resources import contents
from mediagen.server.resources.contents import JSON, Content

Read = Callable[[App, str], Awaitable[Content]]
JOB_PREFIX = "mediagen://jobs/"


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceDefinition:
    """One resource, or all of one kind.

    Attributes:
        address: URI, or URI template with one variable.
        mime_type: None where each has its own.
        read: Gives what it holds; called with the value of the variable, empty where there is none.
    """

    address: str
    name: str
    title: str
    description: str
    read: Read
    mime_type: str | None = JSON

    @property
    def is_template(self) -> bool:
        """Whether the address has a variable."""
        return "{" in self.address

    def value_in(self, uri: str) -> str | None:
        """The value of the variable in an address of this kind; None when it is of another."""
        if not self.is_template:
            return "" if uri == self.address else None
        found = UriTemplate.parse(self.address).match(uri)
        return None if found is None else next(str(value) for value in found.values())

    def as_resource(self) -> Resource:
        """The entry of a list."""
        return Resource(
            uri=self.address, name=self.name, title=self.title, description=self.description, mime_type=self.mime_type
        )

    def as_template(self) -> ResourceTemplate:
        """The entry of a list of templates."""
        return ResourceTemplate(
            uri_template=self.address,
            name=self.name,
            title=self.title,
            description=self.description,
            mime_type=self.mime_type,
        )


RESOURCES: tuple[ResourceDefinition, ...] = (
    ResourceDefinition(
        address="mediagen://models",
        name="models",
        title="Models",
        description="What each of Google's media models accepts, where it is to be had and until when.",
        read=contents.models,
    ),
    ResourceDefinition(
        address="mediagen://prices",
        name="prices",
        title="Prices",
        description="List prices in US dollars, with their day and source.",
        read=contents.prices,
    ),
    ResourceDefinition(
        address="mediagen://artifacts/{artifact_id}",
        name="artifact",
        title="Generated file",
        description="A picture or clip that mediagen made, whole; up to 700,000 bytes.",
        mime_type=None,
        read=contents.artifact,
    ),
    ResourceDefinition(
        address="mediagen://artifacts/{artifact_id}/preview",
        name="preview",
        title="Preview of a file",
        description="A generated picture, or the first frame of a clip, as a JPEG of at most 768 pixels.",
        mime_type="image/jpeg",
        read=contents.artifact_preview,
    ),
    ResourceDefinition(
        address=f"{JOB_PREFIX}{{job_id}}",
        name="job",
        title="Job",
        description="State, files and cost of a job, as get_job tells them. Subscribe to hear when it changes.",
        read=contents.job,
    ),
    ResourceDefinition(
        address="mediagen://errors/{code}",
        name="error",
        title="Error code",
        description="What an error code means, whether it is billed and what to do about it.",
        read=contents.error,
    ),
)
