"""What the parts of the HTTP server share: the open app."""

from mediagen.app.app import App


class Front:
    """Holds the app while the server runs.

    Attributes:
        is_shared: Whether every caller has to say who it is.
    """

    def __init__(self, *, is_shared: bool) -> None:
        self.is_shared = is_shared
        self._app: App | None = None

    @property
    def app(self) -> App:
        """The app, for which no request comes before it is open."""
        assert self._app is not None
        return self._app

    @property
    def is_open(self) -> bool:
        """Whether the app is open."""
        return self._app is not None

    def open(self, app: App) -> None:
        """Take over the app that was opened."""
        self._app = app
