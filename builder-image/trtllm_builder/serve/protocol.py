"""OpenAI's requests and responses as pydantic models.

Unknown fields are ignored, because clients send fields of newer versions. Known but unsupported values are refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_MAX_STOPS = 16

PositiveInt = Annotated[int, Field(ge=1)]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class StreamOptions(_Wire):
    """Options of a stream."""

    include_usage: bool | None = None


class GenerationRequest(_Wire):
    """Fields of both endpoints."""

    model: str
    max_tokens: PositiveInt | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: str | list[str] | None = None
    n: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @field_validator("n")
    @classmethod
    def _one_answer(cls, value: int | None) -> int | None:
        if value not in {None, 1}:
            raise ValueError(f"this server supports one answer per request, not {value}")
        return value

    @field_validator("stop")
    @classmethod
    def _few_stops(cls, value: str | list[str] | None) -> str | list[str] | None:
        if isinstance(value, list) and len(value) > _MAX_STOPS:
            raise ValueError(f"at most {_MAX_STOPS} stop strings are allowed, not {len(value)}")
        return value

    @property
    def stops(self) -> tuple[str, ...]:
        """Stop strings without empty ones, which would stop before the first character."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(stop for stop in given if stop)

    @property
    def token_limit(self) -> int | None:
        """Most tokens that the client allows."""
        return self.max_tokens

    @property
    def wants_usage(self) -> bool:
        """True if a stream ends with a chunk of usage."""
        return bool(self.stream_options and self.stream_options.include_usage)


class ContentPart(_Wire):
    """Part of a message. Only text is supported."""

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """One message. Further fields are kept for the chat template."""

    model_config = ConfigDict(frozen=True, extra="allow")

    role: str
    content: str | list[ContentPart] | None = None

    def for_template(self) -> dict[str, Any]:
        """The message for chat templates: its content is one string."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content or [])
        return {**(self.model_extra or {}), "role": self.role, "content": text}


class ChatCompletionRequest(GenerationRequest):
    """Body of POST /v1/chat/completions."""

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_completion_tokens: PositiveInt | None = None

    @property
    def token_limit(self) -> int | None:
        """Most tokens that the client allows; the newer field takes precedence."""
        return self.max_completion_tokens or self.max_tokens


class CompletionRequest(GenerationRequest):
    """Body of POST /v1/completions."""

    prompt: str | list[int] | list[str] | list[list[int]]

    @model_validator(mode="after")
    def _one_prompt(self) -> CompletionRequest:
        of_tokens = isinstance(self.prompt, list) and self.prompt and isinstance(self.prompt[0], int)
        if isinstance(self.prompt, list) and not of_tokens and len(self.prompt) != 1:
            raise ValueError(f"must be one prompt, not {len(self.prompt)}")
        return self

    @property
    def single_prompt(self) -> str | list[int]:
        """The prompt as text or as token ids."""
        if isinstance(self.prompt, str):
            return self.prompt
        first = self.prompt[0]
        return (
            first if isinstance(first, str | list) else [int(token) for token in self.prompt if isinstance(token, int)]
        )


class Usage(_Wire):
    """Number of tokens of a request. The end-of-text token counts, because it was computed."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Choice(BaseModel):
    """The answer: `message` or `delta` of a chat, `text` of a completion."""

    index: int = 0
    message: dict[str, str] | None = None
    delta: dict[str, str] | None = None
    text: str | None = None
    logprobs: None = None
    finish_reason: str | None = None


class Answer(BaseModel):
    """A response, or one chunk of a stream."""

    id: str
    object: str
    created: int
    model: str
    choices: list[Choice]
    usage: Usage | None = None

    def to_json(self) -> str:
        """JSON as OpenAI writes it: logprobs and finish_reason may be null; fields of the other endpoint are absent."""
        absent: dict[str, Any] = {} if self.usage else {"usage": True}
        if self.choices:
            parts = ("message", "delta", "text")
            absent["choices"] = {"__all__": {part: True for part in parts if getattr(self.choices[0], part) is None}}
        return self.model_dump_json(exclude=absent)
