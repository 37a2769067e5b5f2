"""The main text of web pages: from bytes of HTML to what a person would call the article.

Pages go through four hands, each a file: `decode` (bytes to UTF-8), `scan` (UTF-8 to blocks and elements),
`features` (blocks to numbers), `forest` (numbers to a decision); `main_text` joins them. Knows nothing of
records, WARC or networks; `batches` puts it into batches.
"""
