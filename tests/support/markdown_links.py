"""Links and paths in Markdown, as GitHub resolves them: relative to the page, anchors by the headings of the target."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import product
from posixpath import dirname, join, normpath

_FENCE = re.compile(r"^ *(`{3,}|~{3,}).*?^ *\1 *$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_INLINE = re.compile(r"\]\(\s*<?([^)\s>]+)")
_REFERENCE = re.compile(r"^ {0,3}\[[^\]]+\]:\s*<?([^\s>]+)", re.MULTILINE)
_HTML = re.compile(r"""<(?:a|img)\s[^>]*?(?:href|src)\s*=\s*["']([^"']+)""", re.IGNORECASE)
_HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.*?)(?:\s+#+)?\s*$", re.MULTILINE)
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)
_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
_TEXT_OF_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")


def links(text: str) -> Iterator[str]:
    """Targets of a page's links and pictures; what stands in code is no link."""
    prose = _CODE.sub("", _FENCE.sub("", text))
    for form in (_INLINE, _REFERENCE, _HTML):
        yield from form.findall(prose)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings; a heading that occurs again gets a number."""
    seen, found = Counter[str](), set[str]()
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        plain = _TEXT_OF_LINK.sub(r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return found


def broken_links(page: str, pages: dict[str, str], files: Collection[str]) -> list[str]:
    """Links of a page that lead nowhere; `pages` has the text of every page, `files` the paths of all files."""
    places = with_folders(files)
    broken = []
    for link in links(pages[page]):
        if _ABSOLUTE.match(link):
            continue
        path, _, anchor = link.partition("#")
        target = normpath(join(dirname(page), path)) if path else page
        if target not in places or (anchor and anchor not in anchors(pages.get(target, ""))):
            broken.append(link)
    return broken


def missing_paths(text: str, files: Collection[str]) -> list[str]:
    """Paths in a page's inline code that begin with a folder of the top level, and that no file has."""
    places = with_folders(files)
    tops = {path.split("/")[0] for path in files if "/" in path}
    named = [code for code in _CODE.findall(_FENCE.sub("", text)) if "/" in code and code.split("/")[0] in tops]
    return [name for name in named if not all(_exists(path, places) for path in _expanded(name.rstrip("/")))]


def with_folders(files: Collection[str]) -> set[str]:
    """The files, and every folder above one."""
    return {
        "/".join(parts[:end]) for parts in (path.split("/") for path in files) for end in range(1, len(parts) + 1)
    } | {"."}


def _expanded(name: str) -> Iterator[str]:
    """`a/{b,c}` is `a/b` and `a/c`, as a shell reads it."""
    parts = _BRACES.split(name)
    choices = [part.split(",") if index % 2 else [part] for index, part in enumerate(parts)]
    yield from map("".join, product(*choices))


def _exists(path: str, places: Collection[str]) -> bool:
    if "*" not in path:
        return path in places
    shape = re.compile(".*".join("[^/]*".join(map(re.escape, part.split("*"))) for part in path.split("**")))
    return any(shape.fullmatch(place) for place in places)
