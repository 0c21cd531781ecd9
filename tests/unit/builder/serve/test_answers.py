from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch

from trtllm_builder.serve.generation import Engine

from .conftest import PROBE_PROMPT, Client, Starter, Tiny, build


def text_of(client: Client, **body: object) -> str:
    text = client.complete(**body).json["choices"][0]["text"]
    assert isinstance(text, str)
    return text


def streamed_text(client: Client, **body: object) -> str:
    events = client.complete(stream=True, **body).events
    assert events[-1] == "[DONE]"
    return "".join(event["choices"][0]["text"] for event in events[:-1])


def test_a_greedy_answer_is_what_transformers_itself_generates(client: Client, tiny: Tiny) -> None:
    prompt = tiny.tokenizer("Hello", return_tensors="pt").input_ids
    expected = tiny.model.generate(prompt, max_new_tokens=40, do_sample=False)[0, prompt.shape[1] :]
    assert text_of(client, max_tokens=40) == tiny.tokenizer.decode(expected, skip_special_tokens=True)


def test_an_answer_of_any_length_has_the_text_of_all_its_tokens(client: Client, tiny: Tiny) -> None:
    prompt = list(PROBE_PROMPT)
    tokens = Engine(tiny).greedy(prompt, 24)
    for length in range(1, 25):
        expected = tiny.tokenizer.decode(tokens[:length], skip_special_tokens=True)
        assert text_of(client, prompt=prompt, max_tokens=length) == expected
        assert streamed_text(client, prompt=prompt, max_tokens=length) == expected


def test_a_models_repetition_penalty_is_applied_as_transformers_does() -> None:
    penalized = build()
    penalized.model.generation_config.repetition_penalty = 1.3
    prompt = torch.tensor([PROBE_PROMPT])
    expected = penalized.model.generate(prompt, max_new_tokens=24, min_new_tokens=24, do_sample=False)
    given = Engine(penalized).greedy(PROBE_PROMPT, 24)
    assert given == expected[0, len(PROBE_PROMPT) :].tolist()
    assert given != Engine(build()).greedy(PROBE_PROMPT, 24)


def test_a_completion_has_openais_shape(client: Client) -> None:
    answer = client.complete(max_tokens=5).json
    assert answer["id"].startswith("cmpl-")
    assert (answer["object"], answer["model"]) == ("text_completion", "tiny")
    assert isinstance(answer["created"], int)
    assert set(answer["choices"][0]) == {"index", "text", "logprobs", "finish_reason"}
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"] == {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}


def test_a_chat_answer_has_openais_shape(client: Client) -> None:
    answer = client.chat(max_tokens=5).json
    assert answer["id"].startswith("chatcmpl-")
    assert answer["object"] == "chat.completion"
    assert set(answer["choices"][0]) == {"index", "message", "logprobs", "finish_reason"}
    assert answer["choices"][0]["message"]["role"] == "assistant"
    assert answer["usage"]["prompt_tokens"] == len("user: Hi\nassistant:")


def test_a_chat_is_the_completion_of_its_template(client: Client) -> None:
    chat = client.chat().json["choices"][0]["message"]["content"]
    assert chat == text_of(client, prompt="user: Hi\nassistant:")


def test_content_parts_are_read_as_one_text(client: Client) -> None:
    parts = [{"type": "text", "text": "H"}, {"type": "text", "text": "i"}]
    assert client.chat(messages=[{"role": "user", "content": parts}]).json["choices"] == client.chat().json["choices"]


def test_a_prompt_may_be_token_ids_or_a_list_of_one(client: Client, tiny: Tiny) -> None:
    ids = tiny.tokenizer("Hello").input_ids
    assert text_of(client) == text_of(client, prompt=ids) == text_of(client, prompt=["Hello"])
    assert text_of(client) == text_of(client, prompt=[ids])


def test_a_stream_says_what_the_whole_answer_says(client: Client) -> None:
    assert streamed_text(client, max_tokens=60) == text_of(client, max_tokens=60)


def test_a_chat_stream_opens_with_the_role_and_closes_with_the_reason(client: Client) -> None:
    reply = client.chat(stream=True, max_tokens=6)
    assert reply.headers["content-type"].startswith("text/event-stream")
    *chunks, done = reply.events
    assert done == "[DONE]"
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert chunks[-1]["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "length"}
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert not any("usage" in chunk for chunk in chunks)
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert text == client.chat(max_tokens=6).json["choices"][0]["message"]["content"]


def test_a_stream_ends_with_usage_for_who_asks(client: Client) -> None:
    *_, last, done = client.complete(stream=True, stream_options={"include_usage": True}, max_tokens=7).events
    assert done == "[DONE]"
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}


def test_a_stop_string_ends_the_answer_and_is_not_sent(client: Client) -> None:
    text = text_of(client, max_tokens=40)
    stop = text[10:13]
    for stops in (stop, ["never said", stop]):
        answer = client.complete(max_tokens=40, stop=stops).json["choices"][0]
        assert answer["finish_reason"] == "stop"
        assert answer["text"] == text[: text.index(stop)]
        assert streamed_text(client, max_tokens=40, stop=stops) == text[: text.index(stop)]


def test_an_answer_ends_at_the_end_of_text_token(start: Starter) -> None:
    ending = build()
    ids = Engine(ending).greedy(PROBE_PROMPT, 8)
    ending.model.generation_config.eos_token_id = [ids[5]]
    client, _, _ = start(ending)
    answer = client.complete(prompt=list(PROBE_PROMPT), max_tokens=40).json
    first = ids.index(ids[5])
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["completion_tokens"] == first + 1
    assert answer["choices"][0]["text"] == ending.tokenizer.decode(ids[:first])


def test_a_seed_repeats_an_answer_and_another_changes_it(client: Client) -> None:
    def sampled(seed: int) -> str:
        return text_of(client, temperature=1.5, seed=seed, max_tokens=40)

    assert sampled(1) == sampled(1)
    assert sampled(1) != sampled(2)


def test_the_smallest_top_p_is_greedy(client: Client) -> None:
    assert text_of(client, temperature=1, top_p=1e-6) == text_of(client)


def test_the_smallest_temperature_is_greedy(client: Client) -> None:
    assert text_of(client, temperature=1e-40) == text_of(client)


def test_max_completion_tokens_is_the_newer_name(client: Client) -> None:
    assert client.chat(max_tokens=9, max_completion_tokens=3).json["usage"]["completion_tokens"] == 3


def test_without_a_limit_256_tokens_are_given(client: Client) -> None:
    assert client.complete(max_tokens=None).json["usage"]["completion_tokens"] == 256


def test_an_answer_ends_where_the_context_does(start: Starter) -> None:
    client, _, _ = start(build(context=32))
    answer = client.complete(max_tokens=1000).json
    assert answer["usage"]["total_tokens"] == 32
    assert answer["choices"][0]["finish_reason"] == "length"


def test_unknown_fields_are_ignored(client: Client) -> None:
    assert client.complete(user="me", logit_bias={}, of_the_future=[1]).status == 200


def test_requests_at_the_same_time_do_not_disturb_each_other(client: Client) -> None:
    prompts = [f"prompt number {number}" for number in range(6)]
    alone = [text_of(client, prompt=prompt, max_tokens=60) for prompt in prompts]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda prompt: text_of(client, prompt=prompt, max_tokens=60), prompts))
    assert together == alone
