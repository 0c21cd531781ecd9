from __future__ import annotations

import pytest

from .conftest import CONTEXT, Client, Starter, Tiny, build


def test_another_model_is_not_found_and_the_served_one_is_named(client: Client) -> None:
    reply = Client(client.port, model="gpt-4").complete()
    assert reply.status == 404
    assert reply.error == {
        "message": "The model gpt-4 does not exist. This server serves tiny.",
        "type": "not_found_error",
        "param": "model",
        "code": "model_not_found",
    }


def test_a_prompt_that_is_too_long_is_refused_with_the_numbers(client: Client) -> None:
    reply = client.complete(prompt="x" * (CONTEXT + 3))
    assert reply.status == 400
    assert reply.error["code"] == "context_length_exceeded"
    assert "4099 tokens" in reply.error["message"]
    assert "4096 tokens" in reply.error["message"]


def test_a_prompt_that_leaves_one_token_is_answered(client: Client) -> None:
    assert client.complete(prompt="x" * (CONTEXT - 1)).json["usage"]["completion_tokens"] == 1
    assert client.complete(prompt="x" * CONTEXT).status == 400


def test_a_chat_without_a_template_is_refused(start: Starter) -> None:
    plain = build()
    plain.tokenizer.chat_template = None
    client, _, _ = start(plain)
    reply = client.chat()
    assert reply.status == 400
    assert reply.error["code"] == "no_chat_template"
    assert "/v1/completions" in reply.error["message"]


def test_what_the_template_refuses_is_refused_in_its_words(client: Client) -> None:
    reply = client.chat(messages=[{"role": "robot", "content": "beep"}])
    assert reply.status == 400
    assert "robots may not speak" in reply.error["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[1", b'{"model": "tiny", "prompt": "\\ud800"}', b"\xff"])
def test_malformed_json_is_refused(client: Client, body: bytes) -> None:
    reply = client.send("POST", "/v1/completions", body)
    assert reply.status == 400
    assert reply.error["type"] == "invalid_request_error"
    assert reply.error["code"] == "invalid_json"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -1),
        ("temperature", 3),
        ("temperature", "warm"),
        ("top_p", 0),
        ("top_p", 1.1),
        ("max_tokens", 0),
        ("n", 2),
        ("seed", 2**64),
        ("stop", ["s"] * 17),
        ("stop", 7),
        ("prompt", None),
        ("prompt", [257]),
        ("prompt", [-1]),
        ("prompt", ""),
        ("stream", "perhaps"),
    ],
)
def test_an_invalid_value_is_refused_by_name(client: Client, field: str, value: object) -> None:
    reply = client.complete(**{field: value})
    assert reply.status == 400
    assert reply.error["param"] == field
    assert reply.error["code"] == "invalid_value"


def test_several_prompts_are_refused(client: Client) -> None:
    reply = client.complete(prompt=["one", "two"])
    assert reply.status == 400
    assert "one prompt, not 2" in reply.error["message"]


@pytest.mark.parametrize(
    "messages", [[], "Hi", [{"content": "no role"}], [{"role": "user", "content": [{"type": "image_url"}]}]]
)
def test_messages_that_cannot_be_read_are_refused(client: Client, messages: object) -> None:
    reply = client.chat(messages=messages)
    assert reply.status == 400
    assert reply.error["param"] == "messages"


def test_an_unknown_path_and_a_wrong_method_are_refused_in_the_same_shape(client: Client) -> None:
    assert (client.get("/v2").status, client.get("/v1/completions").status) == (404, 405)
    assert client.get("/v2").error["message"] == "Not Found."


def test_a_model_that_fails_is_an_error_of_the_server(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = build()
    client, runtime, _ = start(broken)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the kernel is missing")

    assert runtime.engine is not None
    monkeypatch.setattr(runtime.engine, "_model", fail)
    monkeypatch.setattr(fail, "device", "cpu", raising=False)
    reply = client.complete()
    assert reply.status == 500
    assert reply.error["message"] == "The model failed: RuntimeError: the kernel is missing"
    events = client.complete(stream=True).events
    assert [event["error"]["code"] for event in events] == ["generation_failed"]
    assert client.metric("trtllm_request_error_total") == 2
    assert client.metric("trtllm_num_requests_running") == 0


def test_a_server_that_still_loads_says_so(start: Starter, tiny: Tiny) -> None:
    client, runtime, _ = start(None)
    assert client.get("/health/live").status == 200
    assert client.get("/v1/models").status == 200
    ready = client.get("/health/ready")
    assert (ready.status, ready.json) == (503, {"status": "loading"})
    reply = client.complete()
    assert (reply.status, reply.error["code"]) == (503, "loading")
    assert "retry-after" in reply.headers
    runtime.accept(tiny)
    assert client.get("/health/ready").status == 200
    assert client.complete().status == 200
