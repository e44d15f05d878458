# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How text is split before byte-pair encoding, by the name that a GGUF file gives it in tokenizer.ggml.pre.

transformers (5.23) knows some of the names and takes GPT-2's splitting for all others, which gives other tokens
than the model was trained on and no error. So every byte-level vocabulary gets its splitting from this table, and
a name that is not in it is an error.

The names and what they stand for are those of llama.cpp (src/llama-vocab.cpp). A splitting is a list of regular
expressions: each one cuts the pieces of the one before into its matches and what lies between them. Where llama.cpp
says that its own are a rewriting for its regular expression engine, they are written as the tokenizer.json files of
the models have them. Checked against llama.cpp on 207 texts: 71 of 82 names give its tokens; tekken and gpt-4o (and
their like) differ for letters beyond ASCII and marks, and the rest for blanks, digits and letters beyond ASCII, where
its engine knows no classes of Unicode.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import UnsupportedModel

# Parts that return in many of them.
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_OTHER = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_SPACE = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_PREFIX = r"[^\r\n\p{L}\p{N}]?"
_ASCII_SIGN = r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"
_NO_SENTENCE_END = r" ?[^(\s|.,!?…。，、।۔،)]+"


def _cased(ending: str) -> str:
    """Words cut where an upper-case letter follows a lower-case one, each with `ending`."""
    return f"{_PREFIX}{_UPPER}*{_LOWER}+{ending}|{_PREFIX}{_UPPER}+{_LOWER}*{ending}"


_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3 = [f"{_CONTRACTION}|{_WORD}|\\p{{N}}{{1,3}}|{_OTHER}|{_SPACE}"]
_QWEN2 = [f"{_CONTRACTION}|{_WORD}|\\p{{N}}|{_OTHER}|{_SPACE}"]
_DIGITS_GPT2 = [r"\p{N}", _GPT2]
_GPT4O = [f"{_cased(_CONTRACTION + '?')}|\\p{{N}}{{1,3}}| ?[^\\s\\p{{L}}\\p{{N}}]+[\\r\\n/]*|{_SPACE}"]
_DEEPSEEK3_WORDS = (f"{_ASCII_SIGN}[A-Za-z]+|[^\\r\\n\\p{{L}}\\p{{P}}\\p{{S}}]?[\\p{{L}}\\p{{M}}]+"
                    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
_DEEPSEEK3 = [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", _DEEPSEEK3_WORDS]
_CJK = "[一-龥ࠀ-一가-퟿]+"
# Letters of upper, lower and title case (LC) of the Unicode version of that time. Those with a canonical equivalent
# are written as numbers, for an editor may put the other one in their place.
_DEEPSEEK_LETTERS = (
    r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚ"
    "\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc"
    "\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc"
    "\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149"
    "\u214e\u2183\u2184ℹⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ"
    "𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+")
_FALCON_SIGNS = r"[\p{P}\$\+<=>\^~\|`]+"

_SPLITS = {
    ("gpt-2", "phi-2", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "gigachat", "a.x-4.0", "mellum", "modern-bert",
     "jina-v1-en", "jina-v2-code", "roberta-bpe", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4"): [_GPT2],
    ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"): _DIGITS_GPT2,
    ("llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano", "dbrx",
     "smaug-bpe", "glm4", "chatglm-bpe"): _LLAMA3,
    ("qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2"): _QWEN2,
    ("qwen35",): [f"{_CONTRACTION}|[^\\r\\n\\p{{L}}\\p{{N}}]?[\\p{{L}}\\p{{M}}]+|\\p{{N}}"
                  f"| ?[^\\s\\p{{L}}\\p{{M}}\\p{{N}}]+[\\r\\n]*|{_SPACE}"],
    ("ufakzeka",): [f"{_WORD}|\\p{{N}}|{_OTHER}|{_SPACE}"],
    ("minicpm5",): [r"\p{N}{1,3}", f"{_CONTRACTION}|{_WORD}|\\p{{N}}+|{_OTHER}|{_SPACE}"],
    ("jais-2",): [f"{_CONTRACTION}|{_WORD}|\\p{{N}}{{1,3}}|{_OTHER}|\\s*[\\r\\n]+|"
                  + "|".join(f"\\s{{{count}}}(?!\\S)" for count in (512, 256, 128, 64, 32, 16, 8, 4)) + r"|\s{1,2}(?!\S)|\s{1}"],
    ("seed-coder",): [f"{_CONTRACTION}|{_WORD}|\\p{{N}}{{1}}| ?[^\\s\\p{{L}}\\p{{N}}\\r\\n]+|{_SPACE}"],
    ("bailingmoe", "bailingmoe2", "llada-moe"): [
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"],
    ("exaone-moe",): [_CONTRACTION + r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}"
                      r"| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"],
    ("laguna",): [r"[^\n]+|[\n]+", *_QWEN2],
    ("tekken",): [f"{_cased('')}|\\p{{N}}| ?[^\\s\\p{{L}}\\p{{N}}]+[\\r\\n/]*|{_SPACE}"],
    ("gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"): _GPT4O,
    ("tiny_aya", "cohere2moe"): [r"\d{1,3}(?=(?:\d{3})*\b)", *_GPT4O],
    ("youtu",): ["[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+",
                 f"{_cased(_CONTRACTION + '?')}|\\p{{N}}| ?[^\\s\\p{{L}}\\p{{N}}]+[\\r\\n/]*|{_SPACE}"],
    ("deepseek-llm",): ["[\r\n]", _DEEPSEEK_LETTERS, r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", _CJK, r"\p{N}+"],
    ("deepseek-coder",): ["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _CJK, r"\p{N}"],
    ("deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"): _DEEPSEEK3,
    ("spark2_5",): [*_DEEPSEEK3[:2],
                    _DEEPSEEK3_WORDS.replace(r" ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+", r" ?[\p{P}\p{S}]+|[\r\n]"), r"\p{N}"],
    ("poro-chat", "bloom", "gpt3-finnish"): [_NO_SENTENCE_END],
    ("viking",): [_NO_SENTENCE_END, r"\p{N}"],
    ("falcon",): [_FALCON_SIGNS, _GPT2, "[0-9][0-9][0-9]"],
    ("chameleon",): ["<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", "([\\t\\n]|    |  )", r"\p{N}",
                     r"[\p{P}!-/:-@\[-`{-~]", _GPT2],
    # What llama.cpp does with files from before there were names.
    ("default",): [r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", "[0-9][0-9][0-9]"],
}
_BY_NAME = {name: splits for names, splits in _SPLITS.items() for name in names}

# Words of the vocabulary stay whole even where no merges lead to them.
_WHOLE_WORDS = {"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano",
                "tekken", "youtu", "minicpm5"}
# The beginning-of-text token comes first unless the file says otherwise.
_BEGIN = {"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano", "tekken",
          "chameleon"}

NAMES = tuple(_BY_NAME)


@dataclass(frozen=True)
class PreTokenizer:
    """What a name stands for."""

    splits: tuple[str, ...]  # regular expressions, in the order in which they cut
    keeps_words: bool  # words of the vocabulary stay whole
    begins: bool  # a text begins with the beginning-of-text token


def named(name: str) -> PreTokenizer:
    """Raises UnsupportedModel if the name is not known."""
    if name not in _BY_NAME:
        raise UnsupportedModel(f"its text is split in the way called '{name}' (tokenizer.ggml.pre), which is not known here; "
                               "export the model from its Hugging Face folder")
    return PreTokenizer(tuple(_BY_NAME[name]), name in _WHOLE_WORDS, name in _BEGIN)


def install(tokenizer, name: str):
    """Makes a transformers tokenizer of a byte-level vocabulary split as `name` says, in place."""
    from tokenizers import Regex, pre_tokenizers

    found = named(name)
    backend = tokenizer.backend_tokenizer
    backend.pre_tokenizer = pre_tokenizers.Sequence([
        *(pre_tokenizers.Split(Regex(split), "isolated") for split in found.splits),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=False)])
    if found.keeps_words:
        backend.model.ignore_merges = True
