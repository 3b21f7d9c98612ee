"""Specification of rewardkit.language: the share of the target language, by script or detector."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rewardkit
from rewardkit import ColumnError, LanguageConsistency, Reward, RewardError, language_consistency, lingua_detector
from rewardkit.scripts import SCRIPTS, prose, scripts_of

ENGLISH = LanguageConsistency(language="en")
CHINESE = LanguageConsistency(language="zh")


def by_first_word(sentence: str) -> str | None:
    """A detector for tests: the sentence names its language."""
    first = sentence.partition(" ")[0]
    return {"EN": "en", "FR": "fr-FR", "BAD": "english"}.get(first)


DETECTED = LanguageConsistency(language="en", detector=by_first_word)

CONFIGURED = (
    language_consistency,
    LanguageConsistency(language="pt_BR", section="think", name="portuguese"),
    LanguageConsistency(language_key="lang"),
)


class TestByScript:
    @pytest.mark.parametrize(
        ("language", "text"),
        [
            ("en", "So the sum is five."),
            ("vi", "Vậy tổng là năm, đúng không?"),
            ("zh", "所以总和是五。"),
            ("ja", "したがって、コーヒーは五杯です。"),
            ("ko", "따라서 합은 다섯입니다."),
            ("ru", "Значит, сумма равна пяти."),
            ("ar", "إذن المجموع خمسة."),
            ("he", "לכן הסכום הוא חמש."),
            ("el", "Άρα το άθροισμα είναι πέντε."),
            ("hi", "इसलिए योग पाँच है।"),
            ("th", "ดังนั้นผลรวมคือห้า"),
            ("ta", "எனவே கூட்டுத்தொகை ஐந்து."),
            ("ka", "ამიტომ ჯამი არის ხუთი."),
            ("hy", "Ուրեմն գումարը հինգ է։"),
            ("am", "ስለዚህ ድምሩ አምስት ነው።"),
            ("my", "ထို့ကြောင့် ပေါင်းလဒ်သည် ငါးဖြစ်သည်။"),
        ],
    )
    def test_a_text_in_the_language_earns_all_and_in_any_other_script_nothing(self, language: str, text: str) -> None:
        assert LanguageConsistency(language=language)([text]) == [1.0]
        other = "ru" if language != "ru" else "en"
        assert LanguageConsistency(language=other)([text]) == [0.0]

    @pytest.mark.parametrize(
        ("text", "inside", "total"),
        [
            ("Sum 总和是", 3, 6),
            ("the answer 答案", 9, 11),
            ("сумма and so", 5, 10),
            ("café", 4, 4),
            ("naïve 天真 naïve", 10, 12),
        ],
    )
    def test_is_the_letters_of_the_language_over_all_letters(self, text: str, inside: int, total: int) -> None:
        script = "ru" if text.startswith("с") else "en"
        assert LanguageConsistency(language=script)([text]) == [inside / total]

    @pytest.mark.parametrize(
        "text",
        [
            "所以 x = 3，y_1 = 4，α + β = π。",
            "所以 $f(x) = \\sin x$ 是奇函数。",
            "所以 $$\\int abc dx$$ 收敛。",
            "所以 \\(abc\\) 和 \\[def\\] 相等。",
            "所以 \\begin{align*} 1+1 \\end{align*} 是二。",
            "用 `print(total)` 输出。",
            "代码：\n```python\nfor item in items: print(item)\n```\n完成。",
            "代码：\n```python\nfor item in items: print(ite",  # cut off within the code
            "<think>所以是五</think><answer>五</answer>",
            "见 https://example.org/some/page?of=this 。",
            "所以 𝑥 ∈ ℝ，等于 ５ ℃。",
            "长 5cm，重 3 kg，快 60 km/h，共 №５mm。",
            "则 sin(x) = 0.5，log_2 8 = 3，cos θ 和 ln 2。",
            "点 A、B、C，2x + 3y = 6，H2O。",
        ],
    )
    def test_mathematics_code_tags_addresses_and_lone_variables_do_not_count(self, text: str) -> None:
        assert CHINESE([text]) == [1.0]

    def test_an_honest_solution_pays_for_its_letters_of_geometry_alone(self) -> None:
        assert CHINESE(["设 x 为 5cm，则 sin(x)=0.5，答案 ABC。"]) == [5 / 8]

    @pytest.mark.parametrize(
        ("text", "foreign"),
        [
            ("是 𝐬𝐨 𝐭𝐡𝐞 𝐬𝐮𝐦", 8),
            ("是 ｓｏ ｔｈｅ", 5),
            ("是 ⓢⓞ ⒯⒣⒠", 5),
            ("是 s o t h e", 5),
            ("是 s.o.t.h.e", 5),
            ("是 s\u200bo\u200bt", 3),
            ("是 𝗌 𝗈", 2),
            ("是 5so 5the", 5),  # no units
            ("是 sin the sum", 9),  # no function of anything
        ],
    )
    def test_a_word_in_another_dress_or_spaced_out_is_a_word(self, text: str, foreign: int) -> None:
        assert CHINESE([text]) == [1 / (1 + foreign)]

    @pytest.mark.parametrize("text", ["sin embargo, tan alto", "el logo mini", "maximo y minimo"])
    def test_words_that_begin_like_a_function_stay_words(self, text: str) -> None:
        letters = sum(map(str.isalpha, text)) - text.split().count("y")
        assert LanguageConsistency(language="es").explain([text])[0].detail.startswith(f"{letters} of {letters} ")

    def test_two_prices_are_no_mathematics(self) -> None:
        assert CHINESE(["从 $5 apples and $6"]) == [1 / 10]

    def test_a_foreign_alphabet_counts_wherever_it_stands(self) -> None:
        hidden = ("```\n因为\n```", "$因为$", "`因为`", "$$因为$$", "# 因为", "<think>因为</think>")
        assert ENGLISH([f"then {text}" for text in hidden]) == [4 / 6] * len(hidden)

    def test_a_tag_with_attributes_hides_nothing(self) -> None:
        assert CHINESE(["是 <so the sum is five and so on>"]) == [1 / 22]

    @pytest.mark.parametrize("text", ["", " ", "42", "1 + 1 = 2", "x = $y$", "```\ncode\n```", "...", "🙂"])
    def test_a_text_without_letters_earns_nothing_and_says_so(self, text: str) -> None:
        for reward in (ENGLISH, CHINESE):
            (outcome,) = reward.explain([text])
            assert (outcome.value, outcome.status, outcome.detail) == (0.0, "no_answer", "no letters to judge")

    def test_a_language_may_have_several_scripts(self) -> None:
        assert LanguageConsistency(language="sr")(["Zbir je пет"]) == [1.0]
        assert LanguageConsistency(language="ja")(["答えはコーヒー"]) == [1.0]

    def test_what_shares_an_alphabet_is_not_told_apart_which_the_docstring_says(self) -> None:
        assert ENGLISH(["Donc la somme est cinq"]) == [1.0]
        assert LanguageConsistency(language="ja")(["所以总和是五"]) == [1.0]

    def test_korean_is_hangul_alone_so_that_a_drift_to_chinese_is_seen(self) -> None:
        assert LanguageConsistency(language="ko")(["합은 所以"]) == [2 / 4]

    def test_says_the_counts_the_scripts_and_what_is_foreign(self) -> None:
        assert ENGLISH.explain(["So 因为所以因"])[0].detail == "2 of 7 letters are Latin; other: 因为所以"
        assert LanguageConsistency(language="sr").explain(["пет"])[0].detail == "3 of 3 letters are Cyrillic or Latin"

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("<think>the sum</think> 五五五", 1.0),
            ("<think>五</think> the sum", 0.0),
            ("the sum", 0.0),  # the section is missing
            ("<think>the sum", 0.0),  # it is cut off
            ("the sum</think> 五五五", 1.0),  # the prompt opened it
        ],
    )
    def test_judges_the_section_alone(self, text: str, value: float) -> None:
        assert LanguageConsistency(language="en", section="think")([text]) == [value]

    @given(latin=st.integers(0, 30), han=st.integers(0, 30), noise=st.text(alphabet="0123456789 .,;+=()[]\n"))
    @settings(deadline=None, max_examples=50)
    def test_the_shares_of_two_scripts_add_up_to_one_whatever_stands_between(
        self, latin: int, han: int, noise: str
    ) -> None:
        text = f"{'ab' * latin}{noise}{'中' * han}"
        english, chinese = ENGLISH([text])[0], CHINESE([text])[0]
        total = 2 * latin + han
        assert english == (2 * latin / total if total else 0.0)
        assert chinese == (han / total if total else 0.0)


class TestTheLanguageOfTheRow:
    def test_comes_from_the_column(self) -> None:
        texts = ["the sum", "总和", "the sum"]
        assert language_consistency(texts, language=["en", "zh", "zh-Hant"]) == [1.0, 1.0, 0.0]
        assert LanguageConsistency(language_key="lang")(texts, lang=["zh", "zh", "EN"]) == [0.0, 1.0, 1.0]

    def test_one_code_holds_for_every_row(self) -> None:
        assert language_consistency(["the sum", "总和"], language="en") == [1.0, 0.0]

    def test_the_attribute_goes_before_the_column(self) -> None:
        assert ENGLISH(["the sum"], language=["zh"]) == [1.0]

    def test_none_is_not_scored(self) -> None:
        report = language_consistency.explain(["the sum"] * 2, language=[None, "en"])
        assert [(o.value, o.status) for o in report] == [(None, "not_scored"), (1.0, "scored")]

    def test_stands_in_the_outcome_as_the_reference(self) -> None:
        (row,) = language_consistency.explain(["the sum"], language=["en-GB"])
        assert (row.outcome.gold, row.outcome.gold_column) == ("en-GB", "language")
        (row,) = ENGLISH.explain(["the sum"])
        assert (row.outcome.gold, row.outcome.gold_column) == (None, None)  # a setting is no reference

    def test_a_missing_column_raises_with_the_remedy(self) -> None:
        with pytest.raises(ColumnError, match=r"no column 'language'; set language=.*language_key="):
            language_consistency(["the sum"])

    @pytest.mark.parametrize("code", ["English", "", "e", 7, float("nan"), "xx"])
    def test_a_row_that_holds_no_known_code_raises_by_row_and_value(self, code: Any) -> None:
        with pytest.raises(ColumnError, match=f"column 'language', row 1: .*language {code!r}"):
            language_consistency(["the sum", "the sum"], language=["en", code])

    def test_a_column_of_another_length_raises(self) -> None:
        with pytest.raises(ColumnError, match="2 rows for 1 completions"):
            language_consistency(["the sum"], language=["en", "en"])


class TestByDetector:
    @pytest.mark.parametrize(
        ("text", "inside", "total"),
        [
            ("EN the sum. FR la somme.", 8, 17),
            ("EN the sum\nEN the sum", 16, 16),
            ("EN yes! XX no?", 5, 9),  # a language that cannot be told counts as another
            ("EN yes. 42. $x$.", 5, 5),
            ("FR non", 0, 5),
        ],
    )
    def test_is_the_letters_in_sentences_of_the_language_over_all_letters(
        self, text: str, inside: int, total: int
    ) -> None:
        assert DETECTED([text]) == [inside / total]

    def test_reads_the_detected_code_up_to_its_region(self) -> None:
        assert LanguageConsistency(language="fr", detector=by_first_word)(["FR oui"]) == [1.0]

    def test_may_target_a_language_without_a_known_script(self) -> None:
        assert LanguageConsistency(language="xx", detector=lambda text: "xx")(["abc"]) == [1.0]

    def test_is_not_asked_about_a_sentence_without_letters_nor_twice_about_the_same(self) -> None:
        asked: list[str] = []

        def note(sentence: str) -> str:
            asked.append(sentence)
            return "en"

        LanguageConsistency(language="en", detector=note)(["Yes. 42. Yes. 1+1=2. No."])
        assert asked == ["Yes", "No"]

    def test_many_short_sentences_do_not_outweigh_a_long_one(self) -> None:
        many, long = "EN ok. " * 5, "FR " + "raison " * 50
        assert DETECTED([many + long]) == [5 * 4 / (5 * 4 + 2 + 6 * 50)]

    def test_says_the_counts_and_the_first_sentence_that_is_foreign(self) -> None:
        said = DETECTED.explain(["EN yes. FR la somme. FR non."])[0].detail
        assert said == "5 of 19 letters are in sentences detected as en; other: FR la somm"

    def test_a_detector_that_returns_no_code_raises_by_name_sentence_and_value(self) -> None:
        with pytest.raises(RewardError, match=r"detector by_first_word gave 'english' for 'BAD luck'"):
            DETECTED(["BAD luck."])

    def test_pickles_and_compares_where_the_detector_does(self) -> None:
        assert pickle.loads(pickle.dumps(DETECTED)) == DETECTED
        assert repr(DETECTED).endswith("by_first_word)")


class TestLingua:
    def test_tells_languages_of_one_alphabet_apart(self) -> None:
        pytest.importorskip("lingua")
        reward = LanguageConsistency(language="en", detector=lingua_detector(["en", "fr"]))
        english = "We add the two numbers and get the answer."
        french = "Donc la somme de ces deux nombres est égale à trois."
        assert reward([english, french, ""]) == [1.0, 0.0, 0.0]
        (mixed,) = reward([f"{english} {french}"])
        assert mixed is not None
        assert 0.0 < mixed < 1.0

    def test_hostile_text_scores_and_does_not_raise(self) -> None:
        pytest.importorskip("lingua")
        reward = LanguageConsistency(language="en", detector=lingua_detector(["en", "fr"]))
        for text in ("yes \ud800 the sum", "\x00the sum\x00", "the " * 250_000, "the.\n" * 200_000):
            assert reward([text]) in ([0.0], [1.0])

    def test_is_equal_pickles_and_prints_as_code(self) -> None:
        pytest.importorskip("lingua")
        detector = lingua_detector(["zh", "en-GB"])
        assert detector == lingua_detector(("en", "zh")) == pickle.loads(pickle.dumps(detector))
        assert repr(detector) == "lingua_detector(['en', 'zh'])"
        reward = LanguageConsistency(language="en", detector=detector)
        assert eval(repr(reward), vars(rewardkit).copy()) == reward
        assert isinstance(hash(reward), int)

    def test_a_language_that_it_does_not_know_is_refused(self) -> None:
        pytest.importorskip("lingua")
        with pytest.raises(ValueError, match="does not know the language 'xx'"):
            lingua_detector(["en", "xx"])

    @pytest.mark.parametrize(
        ("languages", "error", "said"),
        [
            ("en", TypeError, "got the text 'en'"),
            (["en"], ValueError, r"at least two .* \['en'\]"),
            (["en", "en-GB"], ValueError, "at least two"),
            (["en", "French"], ValueError, "'French' is no language code"),
        ],
    )
    def test_bad_languages_are_refused(self, languages: Any, error: type[Exception], said: str) -> None:
        with pytest.raises(error, match=said):
            lingua_detector(languages)

    def test_without_the_package_the_error_names_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "lingua", None)
        with pytest.raises(ImportError, match=r'pip install "rewardkit\[language\]"'):
            lingua_detector(["da", "sv"])


class TestCheatsThatTheDocstringNames:
    def test_latin_letters_in_code_or_mathematics_go_unseen_where_the_target_has_others(self) -> None:
        assert CHINESE(["是 ```so we reason in English```", "是 $so we reason in English$"]) == [1.0, 1.0]
        assert CHINESE(["是 s/o, t/h/e"]) == [1.0]

    def test_one_short_sentence_earns_as_much_as_a_reasoning(self) -> None:
        assert CHINESE(["是", "所以总和是五，因为二加三等于五。"]) == [1.0, 1.0]

    def test_a_repeated_sentence_dilutes_what_is_foreign(self) -> None:
        assert CHINESE(["所以总和 hm", "所以总和" * 99 + " hm"]) == [4 / 6, 396 / 398]


class TestScripts:
    def test_every_code_is_two_letters_and_names_scripts_that_unicode_has(self) -> None:
        for code, scripts in SCRIPTS.items():
            assert len(code) == 2
            assert scripts == scripts_of(code.upper())
            assert LanguageConsistency(language=code)(["42"]) == [0.0]

    @given(text=st.text(alphabet="ab$`\\[]()<>{}/ \n中"))
    @settings(deadline=None, max_examples=100)
    def test_prose_adds_no_letters_and_keeps_every_letter_that_is_not_latin_or_greek(self, text: str) -> None:
        kept = prose(text)
        assert kept.count("中") == text.count("中")
        assert all(kept.count(letter) <= text.count(letter) for letter in "ab")


class TestAll:
    @given(text=st.text())
    @settings(deadline=None, max_examples=50)
    def test_any_text_scores_within_its_range_and_a_message_of_it_the_same(self, text: str) -> None:
        for reward in (ENGLISH, CHINESE, DETECTED):
            (value,) = reward([text])
            assert value is not None
            assert 0.0 <= value <= 1.0
            assert reward([[{"role": "assistant", "content": text}]]) == [value]

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("ab" * 500_000, 1.0),
            ("the sum " * 125_000, 1.0),
            ("a" + " " * 1_000_000, 0.0),
            ("a " * 500_000, 1.0),
            ("𝐬" * 1_000_000, 1.0),
            ("\u0316\u0301" * 500_000, 0.0),
            ("sin(" * 250_000, 0.0),
            ("$" * 1_000_000, 0.0),
            ("$a" * 500_000, 0.0),
            ("\\[" * 500_000, 0.0),
            ("`" * 1_000_000, 0.0),
            ("<a" * 500_000, 0.0),
            ("\\" * 1_000_000, 0.0),
            ("e" + "\u0301" * 999_999, 1.0),
            ("http://" * 140_000, 0.0),
            ("ab.\n" * 250_000, 1.0),
            ("\\begin{" * 140_000, 0.0),
            ("\ud800\x00" * 500_000, 0.0),
        ],
    )
    def test_a_million_characters_are_one_pass(self, text: str, value: float) -> None:
        assert ENGLISH([text]) == [value]
        assert LanguageConsistency(language="en", detector=lambda sentence: "en")([text]) == [value]

    @pytest.mark.parametrize("reward", CONFIGURED, ids=repr)
    def test_pickles_hashes_and_prints_as_code(self, reward: Reward) -> None:
        assert pickle.loads(pickle.dumps(reward)) == reward
        assert eval(repr(reward), vars(rewardkit).copy()) == reward
        assert isinstance(hash(reward), int)

    @pytest.mark.parametrize(
        ("make", "error", "said"),
        [
            (lambda: LanguageConsistency(language="English"), ValueError, "'English' is no language code; use ISO"),
            (lambda: LanguageConsistency(language="xx"), ValueError, "script of language 'xx' is not known"),
            (lambda: LanguageConsistency(language=7), ValueError, "language 7 is no language code"),
            (lambda: LanguageConsistency(detector="lingua"), TypeError, "detector .* got 'lingua'"),
            (lambda: LanguageConsistency(section="<think>"), ValueError, "'<think>' is no tag name"),
            (lambda: LanguageConsistency(language="e1", detector=by_first_word), ValueError, "'e1' is no language"),
        ],
    )
    def test_a_bad_argument_is_refused_with_its_value_and_the_remedy(
        self, make: Callable[[], Reward], error: type[Exception], said: str
    ) -> None:
        with pytest.raises(error, match=said):
            make()
