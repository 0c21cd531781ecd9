"""Makes a Job from an OpenAI request: applies the chat template, the tokenizer, and the limit of the context."""

from __future__ import annotations

from jinja2 import TemplateError

from trtllm_builder.failure import first_line
from trtllm_builder.serve.errors import ApiError
from trtllm_builder.serve.generation import Engine, Job
from trtllm_builder.serve.protocol import ChatCompletionRequest, CompletionRequest, GenerationRequest

DEFAULT_MAX_TOKENS = 256
"""Most tokens of an answer if the request has no limit."""


def chat_job(engine: Engine, request: ChatCompletionRequest) -> Job:
    """Job for messages, which the model's chat template formats."""
    if not engine.tokenizer.chat_template:
        raise ApiError(
            400,
            f"{request.model} has no chat template. Send a complete prompt to /v1/completions.",
            param="messages",
            code="no_chat_template",
        )
    try:
        text = engine.tokenizer.apply_chat_template(
            [message.for_template() for message in request.messages], tokenize=False, add_generation_prompt=True
        )
    except TemplateError as error:
        raise ApiError(
            400, f"The chat template refuses the messages: {first_line(error)}", param="messages", code="invalid_value"
        ) from error
    # the template adds the special tokens
    return _job(engine, request, engine.encode(text, special=False), "messages")


def completion_job(engine: Engine, request: CompletionRequest) -> Job:
    """Job for a prompt, which is used unchanged."""
    prompt = request.single_prompt
    if isinstance(prompt, str):
        return _job(engine, request, engine.encode(prompt), "prompt", continues=True)
    unknown = [token for token in prompt if not 0 <= token < engine.vocabulary]
    if unknown:
        raise ApiError(
            400,
            f"The prompt has the token {unknown[0]}, but the vocabulary has {engine.vocabulary} tokens.",
            param="prompt",
            code="invalid_value",
        )
    return _job(engine, request, prompt, "prompt", continues=True)


def _job(engine: Engine, request: GenerationRequest, prompt: list[int], param: str, *, continues: bool = False) -> Job:
    if not prompt:
        raise ApiError(400, "The prompt is empty.", param=param, code="invalid_value")
    limit = request.token_limit or DEFAULT_MAX_TOKENS
    if engine.context is not None:
        left = engine.context - len(prompt)
        if left < 1:
            raise ApiError(
                400,
                f"The prompt has {len(prompt)} tokens, but {request.model} has a context of {engine.context} tokens, "
                "and the answer needs at least one.",
                param=param,
                code="context_length_exceeded",
            )
        limit = min(limit, left)
    return Job(
        prompt=tuple(prompt),
        max_tokens=limit,
        temperature=1.0 if request.temperature is None else request.temperature,
        top_p=1.0 if request.top_p is None else request.top_p,
        seed=request.seed,
        stops=request.stops,
        continues=continues,
    )
