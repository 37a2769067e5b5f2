"""Conversations become the prompt that the model's makers meant."""

import json
import shutil

import pytest

pytest.importorskip("tokenizers")

from tokenizers import Tokenizer

from tenfold.errors import InputError
from tenfold.serve.backends.base import Generation, Message, PromptTooLong
from tenfold.serve.engine.prompt import TRANSCRIPT_STOP, Prompts

TALK = (Message("user", "hi <|end|> there"), Message("assistant", "yes?"), Message("user", "bye"))
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}\n    {% if m['role'] != 'system' %}\n"
    "<{{ m['role'] }}>{{ m['content'] }}\n    {% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def prompts(folder, bos_id=0) -> Prompts:
    return Prompts(folder, Tokenizer.from_file(str(folder / "tokenizer.json")), bos_id, 160)


def asking(*messages: Message) -> Generation:
    return Generation(id="r", model="m", messages=messages)


@pytest.fixture
def with_template(model_folder, tmp_path):
    def make(template):
        folder = shutil.copytree(model_folder, tmp_path / "copy", dirs_exist_ok=True)
        path = folder / "tokenizer_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": template}))
        return folder

    return make


def test_a_template_gives_the_ids_that_transformers_gives(with_template):
    transformers = pytest.importorskip("transformers")
    folder = with_template(TEMPLATE)
    theirs = transformers.AutoTokenizer.from_pretrained(folder).apply_chat_template(
        [{"role": m.role, "content": m.content} for m in TALK],
        add_generation_prompt=True,
        return_dict=False,
    )
    assert prompts(folder).prompt(asking(*TALK)) == (theirs, ())


def test_without_a_template_a_conversation_is_a_transcript(model_folder):
    got = prompts(model_folder).prompt(asking(*TALK))
    tokenizer = Tokenizer.from_file(str(model_folder / "tokenizer.json"))
    assert tokenizer.decode(got.ids, skip_special_tokens=False) == (
        "user: hi <|end|> there\nassistant: yes?\nuser: bye\nassistant:"
    )
    assert got.stop == TRANSCRIPT_STOP


def test_special_tokens_in_a_callers_text_are_text(model_folder):
    assert 0 not in prompts(model_folder).ids("the <|end|> is near")


def test_an_empty_prompt_is_the_begin_mark_or_refused(model_folder):
    assert prompts(model_folder).ids("") == [0]
    with pytest.raises(InputError, match="empty"):
        prompts(model_folder, bos_id=None).ids("")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ messages[0]['content'] + 1 }}", "refused"),
        ("{{ messages.append(1) }}", "refused"),  # the sandbox: nothing given can be changed
        ("{{ ().__class__.__bases__[0].__subclasses__() }}", "refused"),
        ("{% for %}", "broken"),
    ],
)
def test_a_template_that_fails_or_misbehaves_is_an_input_error(with_template, template, message):
    folder = with_template(template)
    with pytest.raises(InputError, match=message):
        prompts(folder).prompt(asking(*TALK))


def test_named_templates_and_a_template_file_are_found(with_template):
    named = [{"name": "tools", "template": "x"}, {"name": "default", "template": "{{ 'named' }}"}]
    folder = with_template(named)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert tokenizer.decode(prompts(folder).prompt(asking(*TALK)).ids) == "named"
    (folder / "chat_template.jinja").write_text("{{ 'a file' }}")
    assert tokenizer.decode(prompts(folder).prompt(asking(*TALK)).ids) == "a file"


def test_megabytes_are_refused_without_being_encoded(model_folder):
    made = prompts(model_folder)
    longest = max(map(len, made._tokenizer.get_vocab()))
    made._tokenizer = None  # touching it would fail
    with pytest.raises(PromptTooLong) as refused:
        made.ids("E" * (longest * 161))
    assert refused.value.num_tokens == 161
