"""Caption words and ids."""

from __future__ import annotations

from training.vocabulary import PADDING_ID, Vocabulary, build_vocabulary, words_of


def test_words_are_case_folded_letters_and_digits_of_any_script() -> None:
    assert words_of("Don't STOP: Straße_2, 映画!") == ["don't", "stop", "strasse", "2", "映画"]


def test_frequent_words_come_first_and_equals_in_alphabetical_order() -> None:
    vocabulary = build_vocabulary(["a bee", "a bear", "the bee"])
    assert vocabulary.words == ("a", "bee", "bear", "the")
    assert build_vocabulary(["x y"], max_size=1).words == ("x",)


def test_a_caption_is_cut_or_padded_to_length() -> None:
    vocabulary = Vocabulary(("a", "bee"))
    assert vocabulary.num_ids == 3
    assert vocabulary.encode("A bee, a bee", 3) == [1, 2, 1]
    assert vocabulary.encode("bee", 3) == [2, PADDING_ID, PADDING_ID]


def test_unknown_words_are_left_out_and_named_once() -> None:
    vocabulary = Vocabulary(("bee",))
    assert vocabulary.encode("wild bee wild rose", 2) == [1, PADDING_ID]
    assert vocabulary.unknown_words("wild bee, wild rose") == ("wild", "rose")
