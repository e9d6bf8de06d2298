"""Serves what the shop writes for people to read: data docs and reports, and nothing else.

``python -m stack.static`` is one of the services of ``vitrine up``; loopback by default.
"""

import html
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from domain.settings import Settings


def folders(settings: Settings) -> dict[str, Path]:
    """First part of the address → the folder it shows."""
    return {"data-docs": data_docs(settings), "reports": settings.runs}


def data_docs(settings: Settings) -> Path:
    """The folder with Great Expectations' ``index.html``."""
    found = sorted(settings.quality.glob("**/data_docs/**/index.html"))
    return found[0].parent if found else settings.quality


def report_links(settings: Settings) -> list[str]:
    """The addresses of all reports, newest run first."""
    reports = settings.runs.glob("*/evaluation/report.html")
    newest = sorted(reports, key=lambda path: path.stat().st_mtime, reverse=True)
    return [report_link(path.parents[1].name) for path in newest]


def report_link(run: str) -> str:
    """The address of a run's report."""
    return f"/reports/{run}/evaluation/report.html"


class Handler(SimpleHTTPRequestHandler):
    """Maps the first part of an address to a folder; of the runs, evaluations alone are shown."""

    def __init__(self, *args: object, settings: Settings, **kwargs: object) -> None:
        self._settings = settings
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Answer the index, or a file."""
        if urlsplit(self.path).path != "/":
            super().do_GET()
            return
        links = [("/data-docs/", "Data docs"), *((a, a) for a in report_links(self._settings))]
        items = "".join(f'<li><a href="{html.escape(a)}">{html.escape(t)}</a>' for a, t in links)
        body = f"<!doctype html><title>Vitrine</title><h1>Vitrine</h1><ul>{items}</ul>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def translate_path(self, path: str) -> str:
        """The file behind an address; a name that does not exist for all that is not to be seen."""
        nothing = str(self._settings.root / "nothing to see")
        parts = [part for part in unquote(urlsplit(path).path).split("/") if part]
        base = folders(self._settings).get(parts[0]) if parts else None
        if base is None:
            return nothing
        wanted = base.joinpath(*parts[1:]).resolve()
        if not wanted.is_relative_to(base.resolve()):
            return nothing
        if parts[0] == "reports" and "evaluation" not in parts[2:3]:
            return nothing
        return str(wanted)

    def list_directory(self, path: str) -> None:  # type: ignore[override]
        """Show no folder's contents."""
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


def make_server(settings: Settings) -> ThreadingHTTPServer:
    """The server, bound and ready to serve."""
    return ThreadingHTTPServer(
        (settings.host, settings.docs_port), partial(Handler, settings=settings)
    )


if __name__ == "__main__":
    make_server(Settings()).serve_forever()
