"""Turns token ids into text that may be sent: whole characters only, and no part of a stop string."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_REPLACEMENT = "\ufffd"
_LONGEST_CHARACTER = 4
"""Bytes of the longest UTF-8 character, which is also the most tokens of one character."""

Decode = Callable[[list[int]], str]


class Detokenizer:
    """Turns tokens into text one at a time.

    A token's text depends on the token before it (SentencePiece drops the first space) and may be a part of a
    character, so each piece is the difference between decoding a short window with and without the new tokens.
    """

    def __init__(self, decode: Decode, context: Sequence[int] = ()) -> None:
        """`context` is the end of the text that is continued; empty for a new answer."""
        self._decode = decode
        self._tokens = list(context)
        """Window of tokens: those that were sent last, then those that are not sent yet."""
        self._sent = len(self._tokens)

    def add(self, token: int) -> str:
        """Text that is complete now; empty while a character is incomplete."""
        self._tokens.append(token)
        pending = len(self._tokens) - self._sent
        text = self._text(len(self._tokens))
        if not text.endswith(_REPLACEMENT):
            return self._send(pending) if text else ""
        # bytes that never become a character must not be held back without end
        return self._send(1) if pending >= _LONGEST_CHARACTER else ""

    def finish(self) -> str:
        """Remaining text at the end, complete or not."""
        return self._send(len(self._tokens) - self._sent)

    def _text(self, end: int) -> str:
        return self._decode(self._tokens[:end])[len(self._decode(self._tokens[: self._sent])) :]

    def _send(self, count: int) -> str:
        text = self._text(self._sent + count)
        self._tokens, self._sent = self._tokens[self._sent :], count
        return text


class StopScanner:
    """Ends the text at the first stop string, which may span several tokens."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""

    def add(self, text: str) -> tuple[str, bool]:
        """Text that may be sent, and True if a stop string was found."""
        text = self._held + text
        found = [position for position in (text.find(stop) for stop in self._stops) if position >= 0]
        if found:
            self._held = ""
            return text[: min(found)], True
        keep = self._could_begin_a_stop(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], False

    def finish(self) -> str:
        """Text that was held back for a stop string that did not follow."""
        text, self._held = self._held, ""
        return text

    def _could_begin_a_stop(self, text: str) -> int:
        longest = max((len(stop) for stop in self._stops), default=0)
        for length in range(min(longest - 1, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stops):
                return length
        return 0
