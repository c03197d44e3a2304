"""Loads and refreshes Google's credential objects; blocking, and the only importer of google.auth.

Source: https://pypi.org/project/google-auth/2.62.2/ (checked 2026-11-21)
"""

from dataclasses import dataclass, field
from typing import Any

from google.auth import aws, external_account, identity_pool, impersonated_credentials, pluggable
from google.auth.exceptions import GoogleAuthError, TransportError
from google.oauth2 import credentials as user_credentials
from google.oauth2 import service_account

from mediagen.credentials.adc import GCLOUD_SOURCE, VARIABLE
from mediagen.credentials.credential import Credential
from mediagen.credentials.files import (
    CredentialsFile,
    parts_of,
    read_credentials_file,
    unusable,
    warn_if_world_readable,
)
from mediagen.credentials.refusals import refused, unreachable
from mediagen.credentials.secrets import header_value
from mediagen.credentials.transport import HttpxRequest
from mediagen.errors import AuthenticationError

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
METADATA_SERVER = "metadata_server"
_AWS_TOKEN_TYPE = "urn:ietf:params:aws:token-type:aws4_request"  # noqa: S105 - a name, no secret
_UNIVERSE = "googleapis.com"


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """One of Google's credential objects, and the kind of file it came from."""

    type: str
    google: Any = field(repr=False)

    @property
    def is_valid(self) -> bool:
        """Whether it has a token that does not expire within minutes."""
        return bool(self.google.valid)

    @property
    def token(self) -> str | None:
        """The access token, if there is one."""
        value: str | None = self.google.token
        return value

    @property
    def quota_project(self) -> str | None:
        """Project that is charged for quota."""
        value: str | None = self.google.quota_project_id
        return value


def load(credential: Credential) -> Loaded:
    """Make Google's object of a credential.

    Raises:
        AuthenticationError: The file is missing or unusable, or the credential is an API key.
    """
    if credential.kind == "access_token":
        token = header_value(credential)
        found = Loaded(type="access_token", google=_new(user_credentials.Credentials, token=token))
        return _with_quota_project(found, credential.quota_project, credential)
    if credential.kind in {"api_key", "express_key", "proxy_key"}:
        raise AuthenticationError(
            f"The key in {credential.source} cannot be used here: Cloud Storage takes no API keys.",
            hint="Set GOOGLE_APPLICATION_CREDENTIALS to a service account file, or run "
            "`gcloud auth application-default login`.",
            code="credential_kind",
        )
    if credential.file is None and credential.use_metadata_server:
        return _with_quota_project(_from_metadata_server(), credential.quota_project, credential)
    file = read_credentials_file(credential)
    if credential.file is not None:
        warn_if_world_readable(credential.file)
    _refuse_programs(credential, file)
    try:
        found = Loaded(type=file.type, google=_LOADERS[file.type](file.content))
    except (GoogleAuthError, ValueError, TypeError, KeyError, AttributeError):
        # Their messages may quote the private key.
        raise unusable(credential, f"({file.type}) was refused by Google's library") from None
    return _with_quota_project(found, credential.quota_project or file.quota_project, credential)


def refresh(loaded: Loaded, credential: Credential, *, deadline_seconds: float) -> None:
    """Fetch a new access token.

    Raises:
        AuthenticationError: Google refuses the credential.
        UnavailableError: The token endpoint cannot be reached, or answers with nonsense.
    """
    request = HttpxRequest(deadline_seconds=deadline_seconds)
    try:
        loaded.google.refresh(request)
    except TransportError as error:
        raise unreachable(request.host, request.trouble) from error
    except GoogleAuthError:
        # They quote the whole answer, which may repeat the credential.
        raise refused(request, credential=credential, file_type=loaded.type) from None
    except (TypeError, ValueError, KeyError, AttributeError):
        raise unreachable(request.host, "the answer holds no token") from None
    token = loaded.token
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token.strip():
        raise unreachable(request.host, "the answer holds no usable token")


def _refuse_programs(credential: Credential, file: CredentialsFile) -> None:
    """GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES allows programs of files that the user named, not of any project."""
    sources = [part.get("credential_source") for part in parts_of(file.content)]
    runs_program = any(isinstance(source, dict) and "executable" in source for source in sources)
    if runs_program and credential.source not in {VARIABLE, GCLOUD_SOURCE}:
        raise unusable(
            credential,
            "wants to start a program, which no configuration file may ask for",
            hint=f"If you trust it, name the credentials file with {VARIABLE}.",
        )


def _service_account(content: dict[str, Any]) -> Any:
    return _call(service_account.Credentials.from_service_account_info, content, scopes=SCOPES)


def _authorized_user(content: dict[str, Any]) -> Any:
    # A stored access token would count as valid for ever, since copies forget when it expires.
    kept = {name: value for name, value in content.items() if name not in {"token", "expiry"}}
    found = _call(user_credentials.Credentials.from_authorized_user_info, kept, scopes=SCOPES)
    return found.with_token_uri(content["token_uri"]) if "token_uri" in content else found


def _impersonated(content: dict[str, Any]) -> Any:
    source = content["source_credentials"]
    address = content["service_account_impersonation_url"]
    principal = CredentialsFile(type="impersonated_service_account", content=content).identity.email
    return _new(
        impersonated_credentials.Credentials,
        source_credentials=_LOADERS[source["type"]](source),
        target_principal=principal,
        target_scopes=list(SCOPES),
        delegates=content.get("delegates"),
        iam_endpoint_override=address,
    )


def _external_account(content: dict[str, Any]) -> Any:
    kind: type[external_account.Credentials] = identity_pool.Credentials
    if content["subject_token_type"] == _AWS_TOKEN_TYPE:
        kind = aws.Credentials
    elif content["credential_source"].get("executable") is not None:
        kind = pluggable.Credentials
    return _call(kind.from_info, content, scopes=SCOPES)


_LOADERS = {
    "service_account": _service_account,
    "authorized_user": _authorized_user,
    "impersonated_service_account": _impersonated,
    "external_account": _external_account,
}


def _from_metadata_server() -> Loaded:
    from google.auth import compute_engine

    # Without the universe, every use would ask the metadata server for it.
    return Loaded(
        type=METADATA_SERVER,
        google=_new(compute_engine.Credentials, scopes=list(SCOPES), universe_domain=_UNIVERSE),
    )


def _with_quota_project(loaded: Loaded, project: str | None, credential: Credential) -> Loaded:
    if project is None:
        return loaded
    if not project.isascii() or not project.isprintable() or " " in project:
        raise AuthenticationError(
            f"The quota project for the credential from {credential.source} holds characters that no project id has.",
            hint="Correct GOOGLE_CLOUD_QUOTA_PROJECT or quota_project_id in the credentials file.",
            code="credentials_file",
        )
    return Loaded(type=loaded.type, google=loaded.google.with_quota_project(project))


# google-auth has no complete types; these keep that to one place.
def _new(kind: Any, /, **arguments: Any) -> Any:
    return kind(**arguments)


def _call(function: Any, /, *arguments: Any, **options: Any) -> Any:
    return function(*arguments, **options)
