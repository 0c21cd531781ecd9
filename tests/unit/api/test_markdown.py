"""Every link and every path in the repository's Markdown leads to something that is there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.markdown_links import anchors, broken_links, missing_paths

REPOSITORY = Path(__file__).parents[3]
_LISTED = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
FILES = [
    name
    for name in subprocess.run(_LISTED, cwd=REPOSITORY, capture_output=True, check=True).stdout.decode().split("\0")
    if name and (REPOSITORY / name).is_file()
]
PAGES = {name: (REPOSITORY / name).read_text(encoding="utf-8") for name in FILES if name.endswith(".md")}
OF_THE_PRESENT = sorted(PAGES.keys() - {"CHANGELOG.md"})
"""Pages whose paths must be there; the changelog tells of earlier trees."""


@pytest.mark.parametrize("page", sorted(PAGES))
def test_every_relative_link_points_to_a_file_and_every_anchor_to_a_heading(page: str) -> None:
    assert broken_links(page, PAGES, FILES) == []


@pytest.mark.parametrize("page", OF_THE_PRESENT)
def test_every_path_in_code_that_begins_with_a_folder_of_the_repository_exists(page: str) -> None:
    assert missing_paths(PAGES[page], FILES) == []


def test_the_pages_that_a_newcomer_reads_are_among_them() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/adr/README.md"} <= PAGES.keys()


def test_each_kind_of_broken_link_is_found() -> None:
    text = """# Title
[good](../a.md#second-part) [good](b.md) [good](#title) [good](..) [good](https://example.org/nowhere) [good](<../a.md>)
[gone](c.md) [wrong](../a.md#no-part) [outside](../../a.md) ![picture](p.png) [own](#nothing) [twice](../a.md#same-2)
[again](../a.md#same-1) `[code](nowhere.md)` <a href="gone.html">x</a>

```
[code](nowhere.md)
```

[reference]: absent.md
"""
    pages = {"a.md": "# A\n## Second `part`!\n## Same\n## Same\n", "docs/b.md": text}
    assert broken_links("docs/b.md", pages | {"docs/b.md": text}, list(pages)) == [
        "c.md",
        "../a.md#no-part",
        "../../a.md",
        "p.png",
        "#nothing",
        "../a.md#same-2",
        "absent.md",
        "gone.html",
    ]


def test_anchors_are_those_that_github_makes() -> None:
    # as GitHub documents them: lower case, blanks become hyphens, punctuation goes, markup goes
    headings = (
        "# kopf's part\n## Fields of `spec.serving`\n## A [link](b.md), too\n# C++ & Go_lang - now\n```\n# code\n```\n"
    )
    assert anchors(headings) == {"kopfs-part", "fields-of-specserving", "a-link-too", "c--go_lang---now"}


def test_paths_are_read_as_a_shell_does() -> None:
    files = ["tests/unit/a.py", "tests/api/b.py", "docs/c.md"]
    there = "`tests/{unit,api}` `tests/unit/` `tests/*/a.py` `tests/**/b.py` `docs/c.md` `other/x` `make docs/d.md`"
    missing = "`tests/{unit,gpu}` `docs/d.md` `tests/*.py`"
    assert missing_paths(f"{there} {missing}", files) == ["tests/{unit,gpu}", "docs/d.md", "tests/*.py"]
