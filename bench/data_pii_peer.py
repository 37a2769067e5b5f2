"""Presidio in its own environment: sentences as JSON lines in, spans and CPU seconds out.

Runs with the peer's interpreter and knows nothing of tenfold. Presidio gets a blank spaCy pipeline (its default
engine downloads a model) and only the entities that are compared, so that it does no work in vain.
"""

from __future__ import annotations

import json
import logging
import sys
import time


def main() -> None:
    logging.disable(logging.WARNING)
    import spacy
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    class Blank(SpacyNlpEngine):
        def __init__(self) -> None:
            super().__init__(models=[{"lang_code": "en", "model_name": "blank"}])
            self.nlp = {"en": spacy.blank("en")}

        def load(self) -> None:
            """The pipeline is there already."""

    told = json.loads(sys.stdin.readline())
    engine = AnalyzerEngine(nlp_engine=Blank(), supported_languages=["en"])
    engine.analyze(text="warm up 1", language="en", entities=told["entities"])
    for line in sys.stdin:
        texts = json.loads(line)
        started_s = time.process_time()
        found = [
            [
                (r.start, r.end, r.entity_type)
                for r in engine.analyze(text=text, language="en", entities=told["entities"])
            ]
            for text in texts
        ]
        print(json.dumps({"cpu_s": time.process_time() - started_s, "found": found}), flush=True)


if __name__ == "__main__":
    main()
