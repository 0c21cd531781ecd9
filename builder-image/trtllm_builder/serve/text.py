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
        self._window = 0
        self._sent = len(self._tokens)

    def add(self, token: int) -> str:
        """The text that is certain now; empty while a character is incomplete."""
        self._tokens.append(token)
        text = self._pending()
        # Bytes that never become a character must not be held back for ever.
        if text.endswith(_REPLACEMENT) and len(self._tokens) - self._sent < _LONGEST_CHARACTER:
            return ""
        if text:
            # The window stays short, or every token would decode the whole answer again.
            self._tokens = self._tokens[self._sent - self._window if self._window else 0 :]
            self._advance()
        return text

    def finish(self) -> str:
        """What is left at the end, incomplete as it may be."""
        text = self._pending()
        self._advance()
        return text

    def _pending(self) -> str:
        before = self._decode(self._tokens[self._window : self._sent])
        return self._decode(self._tokens[self._window :])[len(before) :]

    def _advance(self) -> None:
        self._window, self._sent = self._sent, len(self._tokens)


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
