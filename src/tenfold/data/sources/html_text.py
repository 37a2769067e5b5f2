"""The main text of a page, for sources that hand out text. Knows no source."""

from __future__ import annotations


def main_text(html: bytes, encoding: str | None) -> tuple[str, str]:
    """The text, and why there is none. `encoding`: as HTTP says; null: as the page or its bytes say."""
    from tenfold.data.html import main_text as pages  # kernels: only where there are pages

    found = pages.main_text(html, encoding)
    return found.text, found.cause or ""


def markup(html: bytes, encoding: str | None) -> tuple[str, str]:
    """The page as it is."""
    text = html.decode(encoding or "utf-8", "replace")
    return text, "" if text.strip() else "empty"
