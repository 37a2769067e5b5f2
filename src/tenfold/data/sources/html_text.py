"""The text of a page, for sources that hand out text: its main text, all of it, or its markup. Knows no source."""

from __future__ import annotations


def main_text(html: bytes, encoding: str | None) -> tuple[str, str]:
    """The text, and why there is none. `encoding`: as HTTP says; null: as the page or its bytes say."""
    from tenfold.data.html import main_text as pages  # kernels: only where there are pages

    found = pages.main_text(html, encoding)
    return found.text, found.cause or ""


def visible(html: bytes, encoding: str | None) -> tuple[str, str]:
    """Everything that a reader of the page sees, what stands around its text included."""
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.html import HTMLTree

    text: str = extract_plain_text(HTMLTree.parse(html.decode(encoding or "utf-8", "replace")))
    return text, "" if text.strip() else "no_text"


def markup(html: bytes, encoding: str | None) -> tuple[str, str]:
    """The page as it is."""
    text = html.decode(encoding or "utf-8", "replace")
    return text, "" if text.strip() else "empty"
