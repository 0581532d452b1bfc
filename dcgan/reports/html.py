"""Pages from templates: one file each, with everything in it."""

import base64
from functools import cache
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape


class Embedded(NamedTuple):
    """A picture as a template shows it."""

    code: str
    caption: str
    kind: str = "png"
    pixels: bool = False  # small images, enlarged without smoothing


def embed(content: bytes, caption: str, *, kind: str = "png", pixels: bool = False) -> Embedded:
    """The content of a picture file, to stand in a page."""
    return Embedded(base64.b64encode(content).decode(), caption, kind, pixels)


def render(template: str, **values: Any) -> str:
    """A page; whatever a run folder has a part in is escaped."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    loader = PackageLoader("dcgan.reports", "templates")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters["breakable"] = _breakable
    return made


def _breakable(name: str) -> Markup:
    """A name that a narrow column may break behind its underscores."""
    return escape(name).replace("_", Markup("_<wbr>"))
