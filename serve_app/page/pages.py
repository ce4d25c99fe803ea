"""The pages for people: the catalogue with an overview of models and routes, and forms to try the routes.

They load nothing from other hosts. The page of the catalogue is `index.html` with the styles and scripts beside it,
which are served without a build step.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from starlette.responses import HTMLResponse, Response

from deployments.pictures.formats import BY_NAME, FILES, FileFormat
from deployments.runtime.weights import Weights

FOLDER = Path(__file__).parent
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

# The policy of the forms, which load nothing at all.
CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'"
# The page of the catalogue loads its own files and calls its own server; scripts and styles in its HTML are blocked.
HOME_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
# Another version of the application has other files under the same names, so browsers must revalidate by ETag.
REVALIDATE = "no-cache"


@dataclass(frozen=True)
class Asset:
    """A file that the page loads."""

    body: bytes
    media_type: str
    etag: str

    def response(self, *, current: bool) -> Response:
        """The file, or 304 if the browser already has it (`current`)."""
        headers = {"ETag": self.etag, "Cache-Control": REVALIDATE, "X-Content-Type-Options": "nosniff"}
        if current:
            return Response(status_code=304, headers=headers)
        return Response(self.body, media_type=self.media_type, headers=headers)


def _read(file: Path) -> Asset:
    body = file.read_bytes()
    return Asset(body, MEDIA_TYPES[file.suffix], f'"{hashlib.sha256(body).hexdigest()[:32]}"')


ASSETS = {file.name: _read(file) for file in sorted(FOLDER.iterdir()) if file.suffix in MEDIA_TYPES}
# Public like `/` itself, because without them the page could not ask for the API key.
ASSET_ROUTES = frozenset(f"/page/{name}" for name in ASSETS)
HOME = (FOLDER / "index.html").read_text(encoding="utf-8")

STYLE = """
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem; }
  code { background: #8882; padding: .1em .3em; border-radius: .2em; }
  form { border: 1px solid #8886; border-radius: .5rem; padding: 1rem; margin: 1rem 0; }
  label { display: block; margin-bottom: .75rem; } input { max-width: 100%; }
  td { padding: .2rem 1rem .2rem 0; vertical-align: top; }
  :root { color-scheme: light dark; }
"""


IMAGES_INPUT = """<label>Images (png, jpg, jpeg)<br>
<input type="file" name="files" accept="image/png,image/jpeg" multiple required></label>"""
VIDEO_INPUT = """<label>Video (mp4)<br><input type="file" name="video" accept="video/mp4" required></label>"""


def _page(title: str, body: str) -> HTMLResponse:
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{body}
</body>
</html>
"""
    return HTMLResponse(page, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})


def home_page(weights: list[Weights], routes: dict[str, str], formats: Iterable[str]) -> HTMLResponse:
    """The page at `/`: the catalogue, a form for /classify, and lists of the served weights and the routes.

    Args:
        weights: those that are served.
        routes: what each route does.
        formats: those of uploads to the catalogue, as CATALOGUE_FORMATS names them.
    """
    uploads = [BY_NAME[name.upper()] for name in formats]
    statements = "".join(f"<li><b>{escape(model.name)}</b> {escape(model.statement)}</li>" for model in weights)
    rows = "".join(
        f"<tr><td><code>{escape(route)}</code></td><td>{escape(what)}</td></tr>" for route, what in routes.items()
    )
    none = "<li>Every model is switched off here.</li>"
    page = HOME
    for place, text in {
        "[uploads]": _accepted(uploads),
        "[pictures]": f"image/*,{_accepted(FILES)}",
        "<!-- formats -->": _listed([one.name for one in uploads]),
        "<!-- weights -->": statements or none,
        "<!-- routes -->": rows,
    }.items():
        page = page.replace(place, text)
    headers = {
        "Content-Security-Policy": HOME_POLICY,
        "Cache-Control": REVALIDATE,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept",
    }
    return HTMLResponse(page, headers=headers)


def _accepted(formats: Iterable[FileFormat]) -> str:
    """What a field for files accepts: types and suffixes, because browsers know no type of the newer formats."""
    return ",".join(",".join([one.media_type, *one.suffixes]) for one in formats)


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def form_page(route: str, title: str, *, categories_required: bool) -> HTMLResponse:
    """A form that posts images or a video, and categories, to a route of family B."""
    required = " required" if categories_required else ""
    files = VIDEO_INPUT if route == "video" else IMAGES_INPUT
    return _page(
        title,
        f"""<form action="{escape(route)}" method="post" enctype="multipart/form-data">
{files}
<label>Categories (json, csv)<br><input type="file" name="categories" accept=".json,.csv"{required}></label>
<button>Send</button>
</form>
<p><a href="./">Panoptes</a></p>""",
    )
