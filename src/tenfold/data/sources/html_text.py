"""The text of a page without its markup: plain, everything that is visible. Knows no source."""

from __future__ import annotations

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import bytes_to_str, detect_encoding
from resiliparse.parse.html import HTMLTree


def main_text(html: bytes, encoding: str | None) -> str:
    """`encoding`: as HTTP says; null: as the page or its bytes say."""
    chosen = encoding or detect_encoding(html, from_html_meta=True)
    tree = HTMLTree.parse(bytes_to_str(html, chosen))
    text: str = extract_plain_text(tree, main_content=True)
    return text
