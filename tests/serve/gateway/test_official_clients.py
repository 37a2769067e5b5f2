"""The makers' own clients, unmodified, through two gateways: one that forwards, one that generates."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import anthropic
import openai
import pytest

from tenfold.serve.backends.openai_http import OpenAIBackend, OpenAIConfig

SAID = [{"role": "user", "content": "one two"}]
TWICE = "one two one two"


@pytest.fixture
def front(serving, echo):
    with serving(echo) as back:
        there = OpenAIBackend(OpenAIConfig(base_url=back.url + "/v1"))
        with serving(there, ledger=back.ledger) as served:
            yield served


@pytest.fixture
def one(front):
    with openai.OpenAI(base_url=front.url + "/v1", api_key="k", max_retries=0) as client:
        yield client


@pytest.fixture
def other(front):
    with anthropic.Anthropic(base_url=front.url, api_key="k", max_retries=0) as client:
        yield client


def tiers(front):
    """Of the requests at the gateway in front."""
    front.gateway.recorder.settle(5)
    return [event.tier for event in front.events() if event.backend in ("openai", "")]


def test_chat(front, one):
    ask = {"model": "echo", "messages": SAID, "temperature": 0}
    for _ in range(2):
        answer = one.chat.completions.create(**ask)
        assert answer.choices[0].message.content == TWICE
        assert answer.usage.total_tokens == 6
        with one.chat.completions.stream(**ask) as stream:
            final = stream.get_final_completion()
        assert final.choices[0].message.content == TWICE
        assert final.id == answer.id
    assert tiers(front) == ["model", "exact", "exact", "exact"]


def test_completions(front, one):
    ask = {"model": "echo", "prompt": "one two", "temperature": 0}
    for _ in range(2):
        assert one.completions.create(**ask).choices[0].text == TWICE
        chunks = list(one.completions.create(**ask, stream=True))
        assert "".join(chunk.choices[0].text for chunk in chunks) == TWICE
    assert tiers(front) == ["model", "exact", "exact", "exact"]


def test_embeddings(front, one):
    made = [one.embeddings.create(model="echo", input=["one", "two one"]) for _ in range(2)]
    assert made[0] == made[1]
    assert [len(item.embedding) for item in made[0].data] == [64, 64]
    assert tiers(front) == ["model", "exact"]


def test_responses(front, one):
    ask = {"model": "echo", "input": "one two", "temperature": 0}
    for _ in range(2):
        answer = one.responses.create(**ask)
        assert answer.output_text == TWICE
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == (2, 4)
        with one.responses.stream(**ask) as stream:
            assert stream.get_final_response().output_text == TWICE
    assert tiers(front) == ["model", "model", "exact", "exact"]


def test_messages(front, other):
    ask = {"model": "echo", "max_tokens": 20, "messages": SAID, "extra_body": {"temperature": 0}}
    for _ in range(2):
        answer = other.messages.create(**ask)
        assert answer.content[0].text == TWICE
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == (2, 4)
        with other.messages.stream(**ask) as stream:
            assert stream.get_final_message().content[0].text == TWICE
    assert tiers(front) == ["model", "model", "exact", "exact"]


SCRIPT = """
import OpenAI from 'openai';
import Anthropic from '@anthropic-ai/sdk';
const [url, text] = process.argv.slice(2);
const one = new OpenAI({baseURL: url + '/v1', apiKey: 'k', maxRetries: 0});
const other = new Anthropic({baseURL: url, apiKey: 'k', maxRetries: 0});
const messages = [{role: 'user', content: text}];
const said = {};
const chat = {model: 'echo', messages, temperature: 0};
said.chat = (await one.chat.completions.create(chat)).choices[0].message.content;
said.chat_stream = await one.chat.completions.stream(chat).finalContent();
const prompt = {model: 'echo', prompt: text, temperature: 0};
said.completion = (await one.completions.create(prompt)).choices[0].text;
said.completion_stream = '';
for await (const part of await one.completions.create({...prompt, stream: true}))
  said.completion_stream += part.choices[0].text;
const response = {model: 'echo', input: text, temperature: 0};
said.response = (await one.responses.create(response)).output_text;
said.response_stream = (await one.responses.stream(response).finalResponse()).output_text;
const message = {model: 'echo', max_tokens: 20, messages, temperature: 0};
said.message = (await other.messages.create(message)).content[0].text;
said.message_stream = await other.messages.stream(message).finalText();
const vectors = (await one.embeddings.create({model: 'echo', input: text})).data;
const wrong = await one.chat.completions.create({...chat, model: 'parott'}).catch((e) => e);
console.log(JSON.stringify({said, width: vectors[0].embedding.length, status: wrong.status, code: wrong.code}));
"""


@pytest.fixture(scope="session")
def node_folder(require):
    """The clients from npm, kept between runs."""
    require(shutil.which("node") and shutil.which("npm"), "Node.js")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "tenfold-tests" / "node"
    if not (folder / "node_modules" / "@anthropic-ai" / "sdk").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        wanted = ["openai@6", "@anthropic-ai/sdk"]
        npm = ["npm", "install", "--no-fund", "--no-audit", "--ignore-scripts", *wanted]
        done = subprocess.run(npm, cwd=folder, capture_output=True, timeout=120, check=False)
        require(done.returncode == 0, "npm's registry")
    return folder


def test_the_clients_for_node(front, node_folder):
    script = node_folder / "ask.mjs"
    script.write_text(SCRIPT)
    done = subprocess.run(
        ["node", script, front.url, "one two"], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    assert len(told["said"]) == 8
    assert set(told["said"].values()) == {TWICE}
    assert told["width"] == 64
    assert (told["status"], told["code"]) == (404, "model_not_found")
