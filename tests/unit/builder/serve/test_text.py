from __future__ import annotations

from collections.abc import Sequence

import pytest

from trtllm_builder.serve.text import Detokenizer, StopScanner


def decode_bytes(tokens: list[int]) -> str:
    return bytes(tokens).decode(errors="replace")


def decode_words(tokens: list[int]) -> str:
    """As SentencePiece does: every token has a space before it, which the first one loses."""
    return "".join(f" w{token}" for token in tokens)[1:]


def pieces(data: bytes) -> list[str]:
    detokenizer = Detokenizer(decode_bytes)
    return [*(detokenizer.add(byte) for byte in data), detokenizer.finish()]


@pytest.mark.parametrize("text", ["plain", "naïve café", "日本語", "🙂🙃", "a🙂b日c", ""])
def test_text_comes_out_whole_one_byte_a_token(text: str) -> None:
    assert "".join(pieces(text.encode())) == text
    assert not any("\ufffd" in piece for piece in pieces(text.encode()))


def test_a_character_is_held_until_its_last_byte() -> None:
    assert pieces("🙂".encode()) == ["", "", "", "🙂", ""]


def test_an_incomplete_character_at_the_end_is_sent_at_the_end() -> None:
    assert "".join(pieces(b"ok" + "🙂".encode()[:2])) == "ok\ufffd"


def test_bytes_that_are_no_text_are_not_held_for_ever() -> None:
    sent = pieces(b"\xff" * 12)
    assert "".join(sent) == "\ufffd" * 12
    assert sent[:5] == ["", "", "", "\ufffd", "\ufffd"]


def test_a_character_after_bytes_that_are_no_text_survives() -> None:
    assert "".join(pieces(b"\x80\x80\x80" + "é🙂".encode())) == "\ufffd\ufffd\ufffdé🙂"


def test_spaces_between_tokens_survive() -> None:
    detokenizer = Detokenizer(decode_words)
    assert [detokenizer.add(token) for token in range(3)] == ["w0", " w1", " w2"]


def test_a_continued_text_keeps_its_first_space() -> None:
    assert Detokenizer(decode_words, context=[7]).add(8) == " w8"


def test_the_decoded_window_stays_short() -> None:
    longest = 0

    def decode(tokens: list[int]) -> str:
        nonlocal longest
        longest = max(longest, len(tokens))
        return decode_bytes(tokens)

    detokenizer = Detokenizer(decode)
    for byte in b"abc" * 100:
        detokenizer.add(byte)
    assert longest <= 5


def scan(stops: Sequence[str], *texts: str) -> tuple[list[str], bool]:
    scanner = StopScanner(stops)
    sent = []
    for text in texts:
        piece, stopped = scanner.add(text)
        sent.append(piece)
        if stopped:
            return sent, True
    return [*sent, scanner.finish()], False


def test_without_stop_strings_nothing_is_held() -> None:
    assert scan((), "a", "b") == (["a", "b", ""], False)


def test_a_stop_string_that_spans_pieces_is_cut_whole() -> None:
    assert scan(["END"], "one E", "N", "D two") == (["one ", "", ""], True)


def test_what_only_looked_like_a_stop_string_is_sent() -> None:
    assert scan(["END"], "E", "N", "OUGH") == (["", "", "ENOUGH", ""], False)


def test_what_was_held_at_the_end_is_sent() -> None:
    assert scan(["END"], "the EN") == (["the ", "EN"], False)


def test_the_first_of_several_stop_strings_wins() -> None:
    assert scan(["three", "two"], "one two three") == (["one "], True)


def test_a_stop_string_that_repeats_its_beginning_is_found() -> None:
    assert scan(["aab"], "a", "a", "a", "b") == (["", "", "a", ""], True)
