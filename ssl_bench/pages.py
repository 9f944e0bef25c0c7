"""What every self-contained page needs: templates, and a policy under which nothing but the page's own parts runs."""

from __future__ import annotations

import base64
import functools
import hashlib
from typing import Any

from ssl_bench import cards
from ssl_bench.errors import MissingError, missing_package

ROOM = "leaderboard/templates"


def template(name: str) -> str:
    """Return a file of the templates; raise MissingError where it is not there."""
    path = cards.builtin_folder(ROOM) / name
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise MissingError(f"cannot read {path}: {error.strerror}; install ssl-bench again") from error


def csp_hash(content: str) -> str:
    """Return what a content security policy calls a style or script of exactly this text."""
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


def trusted(content: str) -> Any:
    """Return text that a template must not escape: the package's own files, and text that the caller has escaped."""
    from markupsafe import Markup

    return Markup(content)


def page(name: str, *, style: str, script: str = "", **context: Any) -> str:
    """Return a page of the templates, which opens with `head.html`, its style and script inside, and the policy that
    lets these two alone take effect. Both are texts of the package; every other value is escaped, but a trusted one."""
    return render(
        template(name),
        style=trusted(style),
        script=trusted(script),
        style_hash=csp_hash(style),
        script_hash=csp_hash(script),
        **context,
    )


def render(page: str, **context: Any) -> str:
    """Return a template's text, filled in; every value but a trusted one is escaped. An unknown name is an error."""
    rendered: str = _compiled(page).render(**context)
    return rendered


@functools.lru_cache(maxsize=16)
def _compiled(page: str) -> Any:
    """Return a template that can include others by their files' names; compiling takes longer than filling in."""
    try:
        import jinja2
    except ImportError:
        raise missing_package("jinja2", "", "building a page") from None
    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.FunctionLoader(template),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"link": link}
    return environment.from_string(page)


def link(url: str) -> str:
    """Return `url` if it is plain http or https, else "": no other scheme may become a link."""
    safe = url.lower().startswith(("https://", "http://")) and url.isprintable() and " " not in url
    return url if safe else ""
