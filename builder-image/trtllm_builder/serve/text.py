"""From token ids to text as it may be sent: whole characters only, nothing of a stop string; used by generation.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_REPLACEMENT = "\ufffd"
_LONGEST_CHARACTER = 4
"""Bytes of the longest UTF-8 character, hence the most tokens that one character can take."""

Decode = Callable[[list[int]], str]


class Detokenizer:
    """Turns tokens into text one at a time.

    A token's text depends on the token before it (SentencePiece drops the first space) and may be a part of a
    character, so each piece is the difference between decoding a short window with and without the new tokens.
    """

    def __init__(self, decode: Decode, context: Sequence[int] = ()) -> None:
        """`context`: the end of the text that is continued; empty for an answer that begins anew."""
        self._decode = decode
        self._tokens = list(context)
        """What was sent last, then what is not sent yet: a short window, however long the answer."""
        self._sent = len(self._tokens)

    def add(self, token: int) -> str:
        """The text that is certain now; empty while a character is incomplete."""
        self._tokens.append(token)
        pending = len(self._tokens) - self._sent
        text = self._text(len(self._tokens))
        if not text.endswith(_REPLACEMENT):
            return self._send(pending) if text else ""
        # Bytes that never become a character must not be held back for ever.
        return self._send(1) if pending >= _LONGEST_CHARACTER else ""

    def finish(self) -> str:
        """What is left at the end, incomplete as it may be."""
        return self._send(len(self._tokens) - self._sent)

    def _text(self, end: int) -> str:
        return self._decode(self._tokens[:end])[len(self._decode(self._tokens[: self._sent])) :]

    def _send(self, count: int) -> str:
        text = self._text(self._sent + count)
        self._tokens, self._sent = self._tokens[self._sent :], count
        return text


class StopScanner:
    """Cuts the text at the first stop string, even one that spans tokens."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""

    def add(self, text: str) -> tuple[str, bool]:
        """The text that may be sent, and whether a stop string was met."""
        text = self._held + text
        found = [position for position in (text.find(stop) for stop in self._stops) if position >= 0]
        if found:
            self._held = ""
            return text[: min(found)], True
        keep = self._could_begin_a_stop(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], False

    def finish(self) -> str:
        """What was held back for a stop string that never came."""
        text, self._held = self._held, ""
        return text

    def _could_begin_a_stop(self, text: str) -> int:
        longest = max((len(stop) for stop in self._stops), default=0)
        for length in range(min(longest - 1, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stops):
                return length
        return 0
