"""Words that give a block away: in names of classes and ids, and in short lines of text.

A group of words is one bit. All words of a table are searched at once by an automaton (Aho and Corasick,
1975), whose rows a kernel walks byte by byte. Knows words, no page and no weight: what a group means for a
block is learned.
"""

from __future__ import annotations

import numpy as np

IN_NAMES: dict[str, tuple[str, ...]] = {
    "comment": ("comment", "disqus", "discussion", "respond", " reply ", "replies", "livefyre"),
    "share": ("share", "sharing", "social", " sns ", "addthis", "follow", "facebook", "twitter"),
    "related": (
        "related", "recommend", "more from", "morefrom", "outbrain", "taboola", "trending",
        "popular", "most read", "mostread", "read more", "readmore", "teaser", "see also",
        "read next", "up next", "latest", "suggest", "recirc", "similar", "also like",
    ),
    "promo": (
        " ad ", " ads ", "advert", "adslot", "adunit", "dfp", "promo", "sponsor", "banner",
        "marketing", "affiliate", "commercial", "dianomi", "zergnet", " cta ",
    ),
    "nav": ("nav", "menu", "breadcrumb", "pagination", "pager", "toolbar", " skip ", " toc "),
    "foot": ("footer", " foot ", "copyright", "colophon", "bottom", "disclaimer", "legal"),
    "head": ("header", "masthead", "topbar", " top "),
    "side": ("sidebar", " side ", " aside ", " rail ", "right", "complementary", "widget", "module"),
    "media": (
        "caption", "credit", "image", "photo", "gallery", "figure", "video", "slide", "carousel",
        "player", "media", "thumb", "picture", "embed", "audio", " wp caption ",
    ),
    "author": ("author", "byline", "writer", " bio ", "contributor", "vcard"),
    "meta": ("meta", " date ", "timestamp", "published", "dateline", " time ", "posted on", "info"),
    "tags": (" tag ", " tags ", "taglist", "keywords", "topics", "categor", "label", "hashtag"),
    "letter": (
        "newsletter", "subscri", "signup", "sign up", "email", "paywall", "login", "register",
        "registration", "donat", "inline form", "membership", "subscription",
    ),
    "pop": ("popup", "modal", "cookie", "overlay", "consent", "gdpr", "lightbox", "tooltip", "dialog"),
    "body": (
        "articlebody", "article body", "article content", "articlecontent", "entry content",
        "entrycontent", "post content", "postcontent", "post body", "postbody", "story body",
        "storybody", "story content", "article text", "articletext", "body content", "body copy",
        "bodycopy", "story text", "storytext", "body text", "bodytext", "td post content",
        "main content", "content body", "contentbody", "rich text", "richtext", "article copy",
    ),
    "text": ("paragraph", "text", "body", "copy", "prose"),
    "content": ("content", "entry", "main", "story", "article", "post"),
    "title": ("title", "headline", "heading"),
    "lead": (
        "subtitle", "subhead", "deck", " dek ", "summary", "excerpt", "standfirst", " lead ",
        " lede ", "intro", "description", "abstract", "highlights", "key points", "keypoints",
    ),
    "list": ("list", "grid", "cards", " card ", " item ", "items", "feed", "river", "stream"),
    "quote": ("quote", "pullquote", "blockquote", "tweet"),
    "hide": ("hidden", "hide", "visually", "screen reader", "sr only", "invisible", " print "),
    "corr": ("correction", "editor", "note", "footnote", "endnote", "update", "source", "reference"),
    "product": ("product", "price", "shop", "cart", "ticker", "stock", "quote box", "weather"),
}  # fmt: skip
"""Groups for class, id, role and similar values. A space is where a word begins or ends."""

IN_TEXT: dict[str, tuple[str, ...]] = {
    "rights": (
        "copyright", " copy ", "all rights reserved", "terms of", "privacy policy", "may not be",
        "alle rechte", "tous droits", "derechos reservados",
    ),
    "share": (
        " share ", "facebook", "twitter", "whatsapp", "linkedin", "instagram", "pinterest",
        "follow us", "follow him", "follow her", "follow me", " tweet ", "follow on", " email ",
        " teilen ", " partager ", " compartir ",
    ),
    "more": (
        "read more", "click here", "related", "recommended", "more from", "see also", "read also",
        "also read", "you may", "you might", "up next", "most popular", "trending", "learn more",
        "more stories", "read next", "read the full", "continue reading", "more on this",
        "lire aussi", "mehr zum thema", "leer mas", "don t miss", "watch", "listen", "must read",
    ),
    "letter": (
        "subscribe", "newsletter", "sign up", "signup", "log in", "login", "sign in", "inbox",
        "your email", "register", "get the latest", "download our", "donate", "support us",
        "abonn", "suscr", "join our", "notifications", " app ",
    ),
    "comment": (
        "comment", " reply ", "replies", " report ", "leave a", "join the conversation",
        "kommentar", "commentaire", "comentario",
    ),
    "promo": ("advertisement", "sponsored", "advert", "anzeige", "publicité", "publicidad", "affiliate"),
    "media": (
        "photo", " image ", "getty", "reuters", "credit", "picture", "pictured", "video", "afp",
        "courtesy", "shutterstock", "photograph", " ap ", "file photo", "left", "gallery",
    ),
    "author": (
        " by ", "written by", "reporter", "editor", "correspondent", "about the author", "author",
        "contributed to", "reporting by", "is a writer", "staff", "reach him", "reach her", " von ",
    ),
    "date": (
        "posted", "published", "updated", " ago ", "min read", " pm ", " am ", " est ", " gmt ",
        "january", "february", " march ", "april", " june ", " july ", "august", "september",
        "october", "november", "december", " nov ", " oct ", " dec ", " sep ", "last modified",
    ),
    "tags": ("topics", " tags ", "filed under", "category", "categories", "more about", "posted in"),
    "nav": (" home ", " next ", "previous", " menu ", " search ", "contact", "about us", "skip to"),
    "cookie": ("cookie", "consent", "javascript", "your browser", "gdpr"),
    "corr": ("correction", " note ", "this story", "this article", "originally", "this post"),
    "money": ("$", "%", " stock", "shares"),
    "said": (" said ", " says ", " told ", " according to ", " would ", " that ", " i ", " we "),
}  # fmt: skip
"""Groups for a block's own text."""

OTHER, EDGE = 26, 27
"""Symbols: letters are 0 to 25; then any byte of a character outside ASCII; where a word begins or ends."""
_NUM_SYMBOLS = 32


def symbols() -> np.ndarray:
    """`uint8[256]`: byte -> symbol, capitals as small letters."""
    table = np.full(256, EDGE, np.uint8)
    table[128:] = OTHER
    for letter in range(26):
        table[ord("a") + letter] = table[ord("A") + letter] = letter
    table[ord("$")], table[ord("%")] = 28, 29
    return table


SYMBOL = symbols()


def automaton(groups: dict[str, tuple[str, ...]]) -> tuple[np.ndarray, np.ndarray]:
    """(`uint16[states, 32]`: state and symbol -> state, `uint32[states]`: groups found on arriving).

    Start in state 0 after an EDGE; feed no two EDGEs in a row, and one at the end.
    """
    rows: list[dict[int, int]] = [{}]
    found = [0]
    for bit, words in enumerate(groups.values()):
        for word in words:
            state = 0
            for byte in word.encode():
                symbol = int(SYMBOL[byte])
                if symbol not in rows[state]:
                    rows[state][symbol] = len(rows)
                    rows.append({})
                    found.append(0)
                state = rows[state][symbol]
            found[state] |= 1 << bit
    goto = np.zeros((len(rows), _NUM_SYMBOLS), np.uint16)
    fail = [0] * len(rows)
    queue = [0]
    for state in queue:  # breadth first: what a state falls back to is complete before it
        for symbol in range(_NUM_SYMBOLS):
            child = rows[state].get(symbol)
            if child is None:
                goto[state, symbol] = goto[fail[state], symbol] if state else 0
                continue
            fail[child] = int(goto[fail[state], symbol]) if state else 0
            found[child] |= found[fail[child]]
            goto[state, symbol] = child
            queue.append(child)
    return goto, np.array(found, np.uint32)


NAME_STATES, NAME_GROUPS = automaton(IN_NAMES)
TEXT_STATES, TEXT_GROUPS = automaton(IN_TEXT)
