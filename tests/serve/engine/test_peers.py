"""The engine says what transformers says: same folder, same prompt, greedy."""

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def their_text(folder, prompt: str, num_tokens: int) -> str:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    ids = tokenizer(prompt, return_tensors="pt").input_ids
    with torch.no_grad():
        out = model.generate(ids, do_sample=False, max_new_tokens=num_tokens, pad_token_id=0)
    before = tokenizer.decode(ids[0], skip_special_tokens=True)
    return tokenizer.decode(out[0], skip_special_tokens=True)[len(before) :]


def test_a_random_model_s_greedy_text(bench, model_folder):
    for id, prompt in enumerate(["The class", "你好", "user: what"]):
        bench.ask(id, prompt=prompt, max_tokens=40)
    bench.run()
    for id, prompt in enumerate(["The class", "你好", "user: what"]):
        assert bench.texts[id] == their_text(model_folder, prompt, 40)


def test_published_weights_tell_the_known_story(make_bench, published):
    bench = make_bench(folder=published)
    prompts = ["Once upon a time", "One day, a dog", "Tim was"]
    for id, prompt in enumerate(prompts):
        bench.ask(id, prompt=prompt, max_tokens=80)
    bench.run()
    assert bench.texts[0].startswith(
        ", there was a little girl named Lily. She loved to play outsi"
    )
    for id, prompt in enumerate(prompts):
        assert bench.texts[id] == their_text(published, prompt, 80)
