"""The console as an ASGI application: pages, static files, and one live stream per view.

Give it everything under its prefix; the gateway beside it never waits for it. Knows the queries, the
views and the guard; opens no port and no ledger.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import jinja2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route

from tenfold.console.guard import LOOPBACK_HOSTS, Guard, Receive, Scope, Send
from tenfold.console.live import Live
from tenfold.console.pages import STATIC_TYPES, environment, static_files, url
from tenfold.console.views import NAVIGATION, VIEWS, View
from tenfold.errors import TenfoldError, UnknownName
from tenfold.queries import Queries
from tenfold.queries.cursor import event_seq

if TYPE_CHECKING:
    from tenfold.factory.labelling import Labelling

MAX_LOG_ROWS = 200


@dataclass(frozen=True)
class Console:
    """The application. `close()` ends its live streams, so that a server can drain."""

    guard: Guard
    live: Live
    prefix: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Mounted in another application or not: paths are always whole, prefix included.
        await self.guard({**scope, "root_path": ""}, receive, send)

    def close(self) -> None:
        self.live.close()


def make_app(
    queries: Queries,
    *,
    allowed_hosts: Collection[str] = LOOPBACK_HOSTS,
    allow_remote: bool = False,
    prefix: str = "/console",
    labelling: Labelling | None = None,
) -> Console:
    """`allowed_hosts` are names without ports; `allow_remote` lets clients in that are not loopback.
    With `labelling` there are pages to label records, and they write; without it the console only reads."""
    live = Live()
    env = environment(prefix)
    views = dict(VIEWS)
    navigation: tuple[tuple[str, str, str], ...] = NAVIGATION
    deeds: list[Route] = []
    if labelling is not None:
        from tenfold.console.deeds import Deeds
        from tenfold.console.views.label import SECTION, label_views

        views |= {view.name: view for view in label_views(labelling)}
        navigation = (*NAVIGATION, SECTION)
        deeds = Deeds(labelling, env).routes()
    pages = Pages(queries, env, prefix, live, views, navigation)
    routes = [
        Route("/static/{file}", pages.static),
        Route("/live/{view}", pages.stream),
        *deeds,
        *(Route(view.path, pages.endpoint(view), name=view.name) for view in views.values()),
    ]
    app = Starlette(
        routes=[
            Route(prefix, lambda request: RedirectResponse(prefix + "/")),
            Mount(prefix, routes=routes),
        ],
        exception_handlers={404: pages.missing, TenfoldError: pages.failed},
    )
    guard = Guard(
        app,
        allowed_hosts=allowed_hosts,
        allow_remote=allow_remote,
        writes=lambda path: labelling is not None and path.startswith(f"{prefix}/label/"),
    )
    return Console(guard, live, prefix)


class Pages:
    """The endpoints. Synchronous ones run in a thread, so that a slow ledger never blocks the loop."""

    def __init__(
        self,
        queries: Queries,
        env: jinja2.Environment,
        prefix: str,
        live: Live,
        views: Mapping[str, View],
        navigation: Sequence[tuple[str, str, str]],
    ) -> None:
        self._queries = queries
        self._views = views
        self._navigation = navigation
        self._env = env
        self._prefix = prefix
        self._live = live

    def endpoint(self, view: View) -> Any:
        def page(request: Request) -> Response:
            params = _params(request)
            cursor = (
                self._queries.cursor()
            )  # before reading: what comes meanwhile is sent, not lost
            context = view.load(self._queries, self._prefix, params)
            live_url = url(self._prefix, "live", view.name, **{**params, "after": cursor})
            html = self._env.get_template(f"{view.name}.html").render(
                **self._frame(view.section), **context, live_url=live_url, regions=view.regions
            )
            return _page(html)

        return page

    async def stream(self, request: Request) -> Response:
        view = self._views.get(request.path_params["view"])
        if view is None:
            return PlainTextResponse("no such view", 404)
        params = {k: v for k, v in _params(request).items() if k not in ("view", "after")}
        after = request.headers.get("last-event-id") or request.query_params.get("after", "")

        def render() -> dict[str, str]:
            context = {
                **self._frame(view.section),
                **view.load(self._queries, self._prefix, params),
            }
            return {
                name: self._env.get_template(f"{view.name}/{name}.html").render(**context)
                for name in view.regions
            }

        def append(cursor: str) -> Mapping[str, str]:
            run_id = view.log_of(self._queries, params) if view.log_of else None
            if run_id is None:
                return {}
            seq = event_seq(cursor)
            events = self._queries.events(run_id, after=seq or 0, limit=MAX_LOG_ROWS)
            rows = self._env.get_template("log_rows.html")
            return {"log": rows.render(events=events)} if events else {}

        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        body = self._live.stream(self._queries.cursor, render, append, after)
        return StreamingResponse(body, media_type="text/event-stream", headers=headers)

    def static(self, request: Request) -> Response:
        name = request.path_params["file"]
        data = static_files().get(name)
        if data is None:
            return PlainTextResponse("no such file", 404)
        kept = "public, max-age=31536000, immutable" if "v" in request.query_params else "no-cache"
        return Response(
            data,
            media_type=STATIC_TYPES[PurePosixPath(name).suffix],
            headers={"cache-control": kept},
        )

    def missing(self, request: Request, error: Exception) -> Response:
        unknown = UnknownName("page", request.url.path, [])
        return self._error(unknown, 404)

    def failed(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, TenfoldError)
        return self._error(error, 404 if isinstance(error, UnknownName) else 500)

    def _error(self, error: TenfoldError, status: int) -> Response:
        template = self._env.get_template("error.html")
        html = template.render(**self._frame(""), error=error, status=status, live_url=None)
        return _page(html, status)

    def _frame(self, section: str) -> dict[str, Any]:
        """What every page needs around its own content."""
        return {"navigation": self._navigation, "section": section}


def _params(request: Request) -> dict[str, str]:
    return {**dict(request.query_params), **request.path_params}


def _page(html: str, status: int = 200) -> Response:
    return HTMLResponse(html, status, headers={"cache-control": "no-store"})
