"""From a request to token ids: the model's own chat template, or a plain transcript.

A model without a template was trained on text, so a conversation is shown to it as text, one line for
each message and the assistant's name last:

    user: How are you?
    assistant:

and the answer ends where the model begins to write the user's next line. Templates come with weights that
somebody else made: they run in Jinja's sandbox and cannot change what they are given.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tenfold.errors import InputError
from tenfold.serve.backends.base import Generation, Message, PromptTooLong

if TYPE_CHECKING:
    from collections.abc import Sequence

    import jinja2
    import tokenizers

TRANSCRIPT_STOP = ("\nuser:", "\nsystem:")


class Prompt(NamedTuple):
    ids: list[int]
    stop: tuple[str, ...]
    """Stop strings that the form of the prompt brings, besides the request's own."""


class Prompts:
    """Makes prompts for one model."""

    def __init__(
        self,
        folder: Path,
        tokenizer: tokenizers.Tokenizer,
        bos_id: int | None,
        context_tokens: int,
    ) -> None:
        self._tokenizer = tokenizer
        self._bos_id = bos_id
        self._context_tokens = context_tokens
        self._longest = max(map(len, tokenizer.get_vocab()), default=1)
        self._settings = _settings(folder / "tokenizer_config.json")
        source = _template_source(folder, self._settings)
        self._template = None if source is None else _compile(source, str(folder))

    def prompt(self, request: Generation) -> Prompt:
        """Raises InputError for a conversation that the template refuses or a text without tokens,
        PromptTooLong for one that no encoding can make fit; what just misses is the scheduler's to see."""
        if request.messages is None:
            return Prompt(self.ids(request.prompt or ""), ())
        if self._template is None:
            return Prompt(self.ids(transcript(request.messages)), TRANSCRIPT_STOP)
        # The template writes special tokens itself; adding them again would double the first one.
        text = self._render(request.messages)
        self._check_size(text)
        self._tokenizer.encode_special_tokens = False
        return Prompt(self._some(self._tokenizer.encode(text, add_special_tokens=False).ids), ())

    def ids(self, text: str) -> list[int]:
        """Ids of a plain text. `</s>` in it is four characters, not the end of the text: what a caller
        writes must not act as the model's own marks."""
        self._check_size(text)
        self._tokenizer.encode_special_tokens = True
        return self._some(self._tokenizer.encode(text).ids)

    def _check_size(self, text: str) -> None:
        """Refuse what cannot fit before encoding it: megabytes would hold up every other request. No token
        is longer than the longest entry of the vocabulary, so the count given is the least it can be."""
        fewest = len(text) // self._longest
        if fewest > self._context_tokens:
            raise PromptTooLong(fewest, self._context_tokens)

    def _some(self, ids: list[int]) -> list[int]:
        if ids:
            return ids
        if self._bos_id is None:
            raise InputError("the prompt is empty", hint="give it at least one character")
        return [self._bos_id]

    def _render(self, messages: Sequence[Message]) -> str:
        from jinja2 import TemplateError

        tokens = {name: _text(self._settings.get(name)) for name in ("bos_token", "eos_token")}
        try:
            return self._template.render(  # type: ignore[union-attr]
                messages=[{"role": m.role, "content": m.content} for m in messages],
                add_generation_prompt=True,
                **tokens,
            )
        except (TemplateError, TypeError, ValueError) as error:
            raise InputError(
                f"the model's chat template refused the conversation: {error}"
            ) from None


def transcript(messages: Sequence[Message]) -> str:
    """The plain form, for models without a chat template."""
    lines = [f"{message.role}: {message.content}\n" for message in messages]
    return "".join(lines) + "assistant:"


def _compile(source: str, where: str) -> jinja2.Template:
    from jinja2 import TemplateSyntaxError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise InputError(f"the model's chat template refused the conversation: {message}")

    # The settings and the one function that transformers gives templates, which all of them rely on.
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = lambda value, indent=None: json.dumps(
        value, ensure_ascii=False, indent=indent
    )
    environment.globals["raise_exception"] = refuse
    try:
        return environment.from_string(source)
    except TemplateSyntaxError as error:
        raise InputError(f"the chat template is broken: {error}", where=where) from None


def _settings(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(f"not JSON: {error}", where=str(path)) from None
    return settings if isinstance(settings, dict) else {}


def _template_source(folder: Path, settings: Mapping[str, Any]) -> str | None:
    """`chat_template.jinja`, or the setting: a text, or a list of named ones of which `default` counts."""
    beside = folder / "chat_template.jinja"
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    source = settings.get("chat_template")
    if isinstance(source, list):
        source = {one["name"]: one["template"] for one in source}.get("default")
    return source


def _text(token: Any) -> str:
    """Special tokens are texts, or in older folders records with the text as `content`."""
    return str(token.get("content", "")) if isinstance(token, dict) else str(token or "")
