from __future__ import annotations

from .conftest import NAME, Client, Starter, Tiny, read, wait_until


def test_the_model_is_listed_under_its_served_name(client: Client) -> None:
    listed = client.get("/v1/models").json
    assert listed["object"] == "list"
    assert [(model["id"], model["object"]) for model in listed["data"]] == [(NAME, "model")]


def test_the_version_names_the_engine_and_the_artifact(client: Client, tiny: Tiny) -> None:
    version = client.get("/version").json
    assert version["engine"] == "transformers"
    assert version["artifact"] == tiny.manifest.digest


def test_health_is_ready_once_the_probe_was_answered(client: Client) -> None:
    for path in ("/health", "/health/ready"):
        assert (client.get(path).status, client.get(path).json) == (200, {"status": "ready"})


def test_a_full_queue_answers_429_and_the_queued_request_is_answered_in_turn(start: Starter, tiny: Tiny) -> None:
    client, runtime, _ = start(tiny, concurrent=1, queued=1)
    running = client.long()
    wait_until(lambda: runtime.scheduler.running == 1)
    waiting = client.open("/v1/completions", prompt="Hello", temperature=0, max_tokens=4)
    wait_until(lambda: runtime.scheduler.waiting == 1)
    assert client.metric("trtllm_num_requests_running") == 1
    assert client.metric("trtllm_num_requests_waiting") == 1
    refused = client.complete()
    assert refused.status == 429
    assert int(refused.headers["retry-after"]) > 0
    assert refused.error["type"] == "rate_limit_error"
    running.close()
    assert read(waiting).status == 200
    assert client.metric("trtllm_request_error_total") == 1


def test_a_client_that_leaves_ends_its_generation(start: Starter, tiny: Tiny) -> None:
    for stream in (False, True):
        client, runtime, _ = start(tiny, concurrent=1)
        connection = client.long(stream=stream)
        wait_until(lambda runtime=runtime: runtime.scheduler.running == 1)  # type: ignore[misc]
        connection.close()
        wait_until(lambda runtime=runtime: runtime.idle, seconds=1)  # type: ignore[misc]
        assert client.metric("trtllm_generation_tokens_total") < 4000
        aborted = (
            f'trtllm_request_success_total{{engine_type="transformers",finished_reason="abort",model_name="{NAME}"}}'
        )
        assert client.metric(aborted) == 1
        assert client.metric("trtllm_request_error_total") == 0


def test_a_client_that_leaves_the_queue_never_runs(start: Starter, tiny: Tiny) -> None:
    client, runtime, _ = start(tiny, concurrent=1)
    running = client.long()
    wait_until(lambda: runtime.scheduler.running == 1)
    for stream in (False, True):
        waiting = client.long(stream=stream)
        wait_until(lambda: runtime.scheduler.waiting == 1)
        waiting.close()
        wait_until(lambda: runtime.scheduler.waiting == 0)
    assert runtime.scheduler.running == 1
    assert client.metric("trtllm_prompt_tokens_total") == 5
    running.close()
    wait_until(lambda: runtime.idle)


def test_every_metric_is_counted_under_the_models_name(start: Starter, tiny: Tiny) -> None:
    client, _, _ = start(tiny)
    client.complete(max_tokens=5)
    client.complete(max_tokens=3, stream=True)
    reply = client.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain")
    labels = f'engine_type="transformers",model_name="{NAME}"'
    expected = {
        f"trtllm_num_requests_running{{{labels}}}": 0,
        f"trtllm_num_requests_waiting{{{labels}}}": 0,
        'trtllm_request_success_total{engine_type="transformers",finished_reason="length",model_name="tiny"}': 2,
        f"trtllm_request_error_total{{{labels}}}": 0,
        f"trtllm_prompt_tokens_total{{{labels}}}": 10,
        f"trtllm_generation_tokens_total{{{labels}}}": 8,
        f"trtllm_e2e_request_latency_seconds_count{{{labels}}}": 2,
        f"trtllm_time_to_first_token_seconds_count{{{labels}}}": 2,
        f"trtllm_time_per_output_token_seconds_count{{{labels}}}": 2,
        f"trtllm_request_queue_time_seconds_count{{{labels}}}": 2,
    }
    lines = reply.body.decode().splitlines()
    given = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}
    assert {name: given.get(name) for name in expected} == expected
