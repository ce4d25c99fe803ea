"""The pages for people: what is served here, and forms to try it. No script, nothing from another host."""

from html import escape

from starlette.responses import HTMLResponse

from deployments.weights import Weights

# Swagger's page loads its script from a CDN and brings its own policy; these pages load nothing at all.
CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'"

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


def home_page(weights: list[Weights], routes: dict[str, str]) -> HTMLResponse:
    """The page at `/`: the weights that are served, a form for /classify, the routes with their summaries."""
    statements = "".join(f"<li>{escape(model.name)}: {escape(model.statement)}</li>" for model in weights)
    rows = "".join(
        f"<tr><td><code>{escape(route)}</code></td><td>{escape(what)}</td></tr>" for route, what in routes.items()
    )
    return _page(
        "Panoptes",
        f"""<p>Looks at pictures with many eyes. <a href="docs">API documentation</a> ·
<a href="health">health</a> · <a href="categorize">sort images</a> · <a href="image">find images</a></p>
<h2>Weights</h2>
<ul>{statements or "<li>Every model is switched off here.</li>"}</ul>
<form action="classify" method="post" enctype="multipart/form-data">
<label>Is this picture a map or an aerial photo?<br><input type="file" name="file" accept="image/*" required></label>
<button>Classify</button>
</form>
<table>{rows}</table>""",
    )


def form_page(route: str, title: str, *, categories_required: bool) -> HTMLResponse:
    """A form that posts images, or a video, and categories to a route of family B."""
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
