"""Responses of each endpoint, whole and in chunks."""

from __future__ import annotations

import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator

from trtllm_builder.serve.generation import Piece
from trtllm_builder.serve.protocol import Answer, Choice, GenerationRequest, Usage


class Writer(ABC):
    """Writer of the answer to one request."""

    kind: str
    chunk_kind: str
    id_prefix: str

    def __init__(self, request: GenerationRequest) -> None:
        self.request = request
        self._id = f"{self.id_prefix}-{uuid.uuid4().hex}"
        self._created = int(time.time())
        self._opened = False

    def whole(self, text: str, finish: str, usage: Usage) -> Answer:
        """Response of a request that does not stream."""
        return self._answer(self.kind, [self._whole(text, finish)], usage)

    def chunks(self, piece: Piece) -> Iterator[Answer]:
        """Chunks for a piece of the answer; none if it has no text."""
        if not self._opened:
            self._opened = True
            yield from (self._chunk(choice) for choice in self._opening())
        if piece.text:
            yield self._chunk(self._text(piece.text))
        if piece.finish:
            yield self._chunk(self._closing(piece.finish))

    def usage_chunk(self, usage: Usage) -> Answer:
        """Last chunk, if the client requested it."""
        return self._answer(self.chunk_kind, [], usage)

    def _chunk(self, choice: Choice) -> Answer:
        return self._answer(self.chunk_kind, [choice], None)

    def _answer(self, kind: str, choices: list[Choice], usage: Usage | None) -> Answer:
        return Answer(
            id=self._id, object=kind, created=self._created, model=self.request.model, choices=choices, usage=usage
        )

    @abstractmethod
    def _whole(self, text: str, finish: str) -> Choice: ...

    @abstractmethod
    def _opening(self) -> list[Choice]: ...

    @abstractmethod
    def _text(self, text: str) -> Choice: ...

    @abstractmethod
    def _closing(self, finish: str) -> Choice: ...


class ChatAnswer(Writer):
    """Answer as a message of the assistant."""

    kind = "chat.completion"
    chunk_kind = "chat.completion.chunk"
    id_prefix = "chatcmpl"

    def _whole(self, text: str, finish: str) -> Choice:
        return Choice(message={"role": "assistant", "content": text}, finish_reason=finish)

    def _opening(self) -> list[Choice]:
        return [Choice(delta={"role": "assistant", "content": ""})]

    def _text(self, text: str) -> Choice:
        return Choice(delta={"content": text})

    def _closing(self, finish: str) -> Choice:
        return Choice(delta={}, finish_reason=finish)


class CompletionAnswer(Writer):
    """Answer as text that continues the prompt."""

    kind = "text_completion"
    chunk_kind = "text_completion"
    id_prefix = "cmpl"

    def _whole(self, text: str, finish: str) -> Choice:
        return Choice(text=text, finish_reason=finish)

    def _opening(self) -> list[Choice]:
        return []

    def _text(self, text: str) -> Choice:
        return Choice(text=text)

    def _closing(self, finish: str) -> Choice:
        return Choice(text="", finish_reason=finish)


def usage_of(prompt_tokens: int, completion_tokens: int) -> Usage:
    """Sum of prompt and completion tokens."""
    return Usage(
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        total_tokens=prompt_tokens + completion_tokens,
    )
