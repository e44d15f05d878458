# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ids and texts of Weir's tokenizer against Hugging Face's library, for every kind of tokenizer.json that
the models have which Weir can export.

`weir-tokenize-text` (built with the unit tests) encodes and decodes lines. The pipelines are those that
transformers writes for a family, or those of the published files where transformers has no class for
them; the vocabularies are trained here on a few languages, code and symbols, so small that most words
take several merges. SmolLM2's is the real one.

There is one reason for which Weir may refuse a text: a character that is newer than the Unicode version
of its PCRE2, if the tokenizer splits by character classes.
"""

import functools
import json
import os
import random
import re
import subprocess
import unicodedata
from pathlib import Path

import gguf_files
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import GemmaTokenizer, GPT2Tokenizer, GPTNeoXTokenizer, LlamaTokenizer, Qwen2Tokenizer
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX as QWEN2

from weir.errors import WeirWarning
from weir.export import UnsupportedModel, pretokenizers, sources

ROOT = Path(__file__).resolve().parents[2]
TOOL = Path(os.environ.get("WEIR_BUILD", ROOT / "build")).resolve() / "test/Unit/weir-tokenize-text"

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
          r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")

PROSE = """The river rises in the hills and it's said that nobody's seen its spring; they'll look again.
She'd 1,234 reasons (or 56.78%) to walk 3 miles: "Why not?" -- well, don't ask!
Die Größe der Straße überraschte ihn. L'élève naïve mangea des crêpes à Besançon. ¿Qué pasó mañana?
Привет, мир! Река берёт начало в горах. Ελληνικά γράμματα. שלום עולם. مرحبا بالعالم ١٢٣٤.
東京は日本の首都です。川は山から流れます。 中文分词没有空格。 한국어 문장은 띄어 씁니다. हिन्दी में एक वाक्य। ภาษาไทย
🙂 👍🏽 👨‍👩‍👧‍👦 🇩🇪 ½ ² Ⅷ ① ∑ √ ≠ → €
"""
CODE = ''.join((ROOT / name).read_text() for name in ("bootstrap", "README.md", "python/fetch_sdist.py"))
CORPUS = [PROSE] * 20 + [CODE]

FIXED = [
    "", " ", "  ", "\n", "\t", "a", "Hello world", " Hello  world ", "the the  the   the",
    "Hello, world! It's 2026; they'll've \"quoted\" (foo) [bar] {baz}", "I'M DON'T He'S 's 't're ''''s",
    "!!!???...", "!foo!bar", "$100.50 + 3,000,000 = ?", "1234567890 12 345 6789 100km 3x 4.5e-10",
    "x=1;\n\tif (a == b) {\n\t\treturn foo(bar[1], \"s\");\n\t}\n", "def f(x):\n    return x  # comment\n\n\n",
    "    four\n        eight", "tabs\t\t\tand\r\nCRLF\r\n\r\n", "\n\n\n\n", "  \n  \n", "\r\r\n \r",
    "東京は日本の首都です。", "中文分词　全角空格", "Привет, мир! Как дела?", "שלום עולם", "مرحبا ١٢٣ ٤", "हिन्दी में पाठ",
    "한국어 텍스트", "ภาษาไทย", "naïve café e\u0301 Å \u212b ﬁ", "a\u0301\u0327b \u1100\u1161\u11a8 Ōo\u0304 q\u0323\u0307",
    "🙂", "👍🏽👨‍👩‍👧‍👦🇩🇪", "a🙂b 🙂 c", "½ ² Ⅷ ①", "a\u00a0b\u2003c\u3000d\u200be\u2028f", "\u200d\ufeff", "\x00\x01\x7f\x85 \x1c a",
    "<|im_start|>user\nhi<|im_end|>\n", "<s>foo</s> <s> bar", "a<|endoftext|>b <|endoftext|> c", "<|im_start|", "<|im_start|><|im_start|>",
    " <|im_end|> ", "<bos><start_of_turn>user\nhi<end_of_turn>", "text <unk> more", "<|begin_of_text|>hi<|eot_id|>",
    "<tool_call>{\"a\": 1}</tool_call>", "https://example.com/path?q=1&r=2#frag", "C:\\Windows\\System32", "`code` **bold** _it_ __x__",
    "a" * 100, "ab" * 60, "supercalifragilisticexpialidocious", "▁▁foo▁ ▁", "<0x41><0xE2>", "Ġhello", "∑∫√≠ αβγ", "Straße ǅ ẞ",
    "\u0e33\u0e48", "𝒳𝓎𝔷 𐍈", "x" * 3 + " " * 40 + "y", " " * 17, "\n" * 40,
]
PARTS = [
    "the", "Hello", "world", "it's", " ", " ", "  ", "   ", "\n", "\n\n", "\t", "\r\n", "1", "23", "456", "7890", "!", "?!", "...", "(", ")",
    "{", "}", "foo_bar", "éa", "東京", "中", "привет", "🙂", "👍🏽", "_", "-", "'s", "'LL", "<|im_start|>", "<|im_end|>", "<s>", "</s>", "<unk>",
    "<bos>", "a", "I", "\u00a0", "\u3000", "٣", "हि", "न्दी", "ß", "=", "==", "\"", "<", ">", "&&", "//", "<|endoftext|>", "e\u0301", "▁", "ing",
    "un", "<tool_call>", "<|begin_of_text|>", "<start_of_turn>",
]


def mixed(count: int) -> list[str]:
    draw = random.Random(7)
    return ["".join(draw.choice(PARTS) for _ in range(draw.randint(1, 30))) for _ in range(count)]


BYTE_ALPHABET = pre_tokenizers.ByteLevel.alphabet()
BYTE_TOKENS = [f"<0x{byte:02X}>" for byte in range(256)]


def byte_level(pattern: str | None = None, normalizer=None):
    """ByteLevel with GPT-2's pattern, or after a split by another one."""
    if pattern is None:
        return pre_tokenizers.ByteLevel(add_prefix_space=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def train(pre_tokenizer, normalizer=None, first=(), bytes_=True):
    """The vocabulary and merges of BPE trained on the corpus."""
    tokenizer = Tokenizer(models.BPE() if bytes_ else models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=1500, special_tokens=list(first), initial_alphabet=BYTE_ALPHABET if bytes_ else [], show_progress=False))
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


def bare(vocab, merges, pre_tokenizer, specials, bos=None, **options) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, **options))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(specials)
    if bos:
        tokenizer.post_processor = processors.Sequence([
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos} $B",
                                          special_tokens=[(bos, tokenizer.token_to_id(bos))])])
    return tokenizer


def smollm2():
    return sources.resolve("smollm2").tokenizer()


def gpt2():
    vocab, merges = train(byte_level())
    return GPT2Tokenizer(vocab=vocab | {"<|endoftext|>": len(vocab)}, merges=merges)


def gpt2_prefix_space():
    vocab, merges = train(pre_tokenizers.ByteLevel(add_prefix_space=True))
    return GPT2Tokenizer(vocab=vocab | {"<|endoftext|>": len(vocab)}, merges=merges, add_prefix_space=True)


def gpt_neox():
    """GPT-NeoX normalizes, and adds runs of spaces that are looked for in the normalized text."""
    vocab, merges = train(byte_level(), normalizers.NFC(), ["<|endoftext|>", "<|padding|>"])
    tokenizer = GPTNeoXTokenizer(vocab=vocab, merges=merges)
    tokenizer.add_tokens([AddedToken(" " * count, normalized=True) for count in (2, 3, 4, 8)])
    return tokenizer


def qwen2():
    vocab, merges = train(byte_level(QWEN2), normalizers.NFC())
    tokenizer = Qwen2Tokenizer(vocab=vocab | {"<|endoftext|>": len(vocab)}, merges=merges)
    tokenizer.add_tokens([AddedToken(text, special=True) for text in ("<|im_start|>", "<|im_end|>")])
    tokenizer.add_tokens(["<tool_call>", AddedToken("</tool_call>", lstrip=True, rstrip=True)])
    return tokenizer


def llama3():
    vocab, merges = train(byte_level(LLAMA3))
    return bare(vocab, merges, byte_level(LLAMA3), ["<|begin_of_text|>", "<|eot_id|>"], "<|begin_of_text|>", ignore_merges=True)


def tekken():
    vocab, merges = train(byte_level(TEKKEN))
    return bare(vocab, merges, byte_level(TEKKEN), ["<s>", "</s>", "[INST]"], "<s>", ignore_merges=True)


def llama2():
    """As transformers writes it: Metaspace. Mistral's SentencePiece vocabularies are the same kind."""
    vocab, merges = train(pre_tokenizers.Metaspace(), None, ["<unk>", "<s>", "</s>", *BYTE_TOKENS], bytes_=False)
    return LlamaTokenizer(vocab=vocab, merges=merges)


def llama2_published():
    """As the published files have it: a normalizer puts the spaces in place."""
    vocab, merges = train(pre_tokenizers.Metaspace(), None, ["<unk>", "<s>", "</s>", *BYTE_TOKENS], bytes_=False)
    tokenizer = bare(vocab, merges, None, ["<unk>", "<s>", "</s>"], "<s>", byte_fallback=True, fuse_unk=True, unk_token="<unk>")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    return tokenizer


def gemma():
    vocab, merges = train(pre_tokenizers.Split("▁", "merged_with_next"), normalizers.Replace(" ", "▁"),
                          ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "\n\n", *BYTE_TOKENS], bytes_=False)
    tokenizer = GemmaTokenizer(vocab=vocab, merges=merges)
    tokenizer.add_tokens([AddedToken("\n\n", normalized=False), AddedToken("▁▁", normalized=False),
                          AddedToken("<start_of_turn>", special=True)])
    return tokenizer


KINDS = [smollm2, gpt2, gpt2_prefix_space, gpt_neox, qwen2, llama3, tekken, llama2, llama2_published, gemma]


class Pair:
    """One tokenizer.json, read by both."""

    def __init__(self, kind, folder: Path):
        tokenizer = kind()
        self.path = folder / "tokenizer.json"
        self.path.write_text(getattr(tokenizer, "backend_tokenizer", tokenizer).to_str())
        self.reference = Tokenizer.from_file(str(self.path))

    def ours(self, texts: list[str]) -> list[dict]:
        result = subprocess.run([TOOL, self.path], input="".join(json.dumps(text, ensure_ascii=False) + "\n" for text in texts),
                                capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return [json.loads(line) for line in result.stdout.rstrip("\n").split("\n")]

    def compare(self, texts: list[str]) -> int:
        """The number of texts that were compared: all but those with a new character."""
        compared = 0
        with_special = self.reference.encode_batch(texts)
        plain = self.reference.encode_batch(texts, add_special_tokens=False)
        for text, ours, theirs, bare_ in zip(texts, self.ours(texts), with_special, plain, strict=True):
            if "error" in ours:
                new = re.search(r"the class of the character U\+([0-9A-F]+) is not known", ours["error"])
                assert new, ours["error"]
                character = chr(int(new[1], 16))
                assert character in unicodedata.normalize("NFC", text)
                assert character == "\u180e" or unicodedata.category(character) == "Cn"
                continue
            compared += 1
            assert ours["ids"] == theirs.ids, text
            assert ours["plain"] == bare_.ids, text
            assert ours["text"] == self.reference.decode(theirs.ids), text
            assert ours["whole"] == self.reference.decode(theirs.ids, skip_special_tokens=False), text
        return compared


@functools.cache
def _pair(kind, folder) -> Pair:
    return Pair(kind, folder)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def pair(request, tmp_path_factory) -> Pair:
    folder = Path(tmp_path_factory.getbasetemp()) / f"tokenizer-{request.param.__name__}"
    folder.mkdir(exist_ok=True)
    return _pair(request.param, folder)


def test_ids_and_texts_are_those_of_hugging_face(pair):
    texts = FIXED + mixed(400) + PROSE.splitlines() + CODE.splitlines() + [PROSE, CODE]
    assert pair.compare(texts) == len(texts)


def test_every_character_is_classed_and_normalized_as_there(pair):
    """Each assigned character in all the places where its class decides on a split. Of the large regular blocks
    (ideographs, syllables, private use) every 37th."""
    def wanted(code):
        regular = 0x3400 <= code < 0xA000 or 0xAC00 <= code < 0xD7A4 or 0xE000 <= code < 0xF900 or 0x17000 <= code < 0x18D00 or code >= 0x20000
        return not 0xD800 <= code < 0xE000 and (not regular or code % 37 == 0)

    characters = [chr(code) for code in range(0x110000) if wanted(code) and unicodedata.category(chr(code)) != "Cn"]
    places = [f"a{c}b 1{c}2 !{c}? {c} {c}{c}\n{c}" for c in characters if c != "\u180e"]
    assert len(places) > 35_000
    texts = [";".join(places[at:at + 25]) for at in range(0, len(places), 25)]
    assert pair.compare(texts) == len(texts)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(texts=st.lists(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PARTS) | st.characters(codec="utf-8"), max_size=25).map("".join)),
                      min_size=1, max_size=60))
def test_any_text(pair, texts):
    pair.compare(texts)


def refusal(tmp_path, change) -> str:
    """The error for GPT-2's file after a change."""
    content = json.loads(gpt2().backend_tokenizer.to_str())
    change(content)
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    result = subprocess.run([TOOL, tmp_path / "tokenizer.json"], input='"a"\n', capture_output=True, text=True)
    assert result.returncode == 1
    return result.stderr


def test_ids_that_hugging_face_would_not_give_are_refused(tmp_path):
    """Its library numbers added tokens itself, whatever the file says."""
    def change(content):
        content["added_tokens"].append({"id": 9000, "content": "<x>", "single_word": False, "lstrip": False, "rstrip": False,
                                        "normalized": False, "special": True})
    assert "added token '<x>' has the id 9000 where it would get 1501" in refusal(tmp_path, change)


@pytest.mark.parametrize("key, value, message", [
    ("normalizer", {"type": "NFKC"}, "normalizer 'NFKC': this type is not known"),
    ("pre_tokenizer", {"type": "BertPreTokenizer"}, "pre_tokenizer 'BertPreTokenizer': this type is not known"),
    ("post_processor", {"type": "BertProcessing", "sep": ["a", 0], "cls": ["b", 1]}, "post_processor 'BertProcessing': this type is not known"),
    ("decoder", {"type": "WordPiece", "prefix": "##", "cleanup": True}, "decoder 'WordPiece': this type is not known"),
    ("model", {"type": "Unigram", "vocab": [["a", 0.0]]}, "model 'Unigram' is not known"),
])
def test_unknown_components_are_refused(tmp_path, key, value, message):
    assert message in refusal(tmp_path, lambda content: content.update({key: value}))


@functools.cache
def _unsplit():
    """A vocabulary whose merges cross every boundary that a splitting could make, so that each split shows."""
    texts = [line + "\n" for text in CORPUS for line in text.splitlines()] + FIXED * 10 + mixed(2000)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=3000, initial_alphabet=BYTE_ALPHABET, show_progress=False))
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


def of_gguf(folder: Path, pre: str | None, **flags):
    """The tokenizer of a GGUF file that says that text is split as `pre`."""
    path = gguf_files.write_tokenizer(folder / "model.gguf", *_unsplit(), pre, **flags)
    return sources.resolve(str(path)).tokenizer()


@pytest.mark.parametrize("names", pretokenizers._SPLITS, ids=lambda names: names[0])
def test_every_splitting_of_a_gguf_file_is_done_in_the_runner_as_by_hugging_face(names, tmp_path):
    texts = [text for text in FIXED + mixed(100) + PROSE.splitlines() if "\x00" not in text]
    pair = Pair(lambda: of_gguf(tmp_path, names[0]), tmp_path)
    assert pair.compare(texts) == len(texts)
    for name in names[1:]:
        other = of_gguf(tmp_path, name)
        assert [other.encode(text) for text in texts[:40]] == [pair.reference.encode(text).ids for text in texts[:40]]


@pytest.mark.parametrize("pre, text, pieces", [  # worked out from the splitting's definition
    ("refact", "in 12345 x", ["in", " ", "1", "2", "3", "4", "5", " x"]),
    ("gpt-2", "in 12345 x", ["in", " 12345", " x"]),
    ("llama-bpe", "in 12345 x", ["in", " ", "123", "45", " x"]),
    ("qwen2", "a\n\n b", ["a", "\n\n", " b"]),
    ("deepseek-llm", "Größe, 12", ["Gr", "öß", "e", ",", " ", "12"]),  # its [:-~] holds ASCII letters
    ("deepseek-coder", "x=12", ["x", "=", "1", "2"]),
    ("deepseek-v3", "川は a.b 1234", ["川は", " a", ".b", " ", "123", "4"]),
    ("falcon", "it's 12345", ["it", "'", "s", " ", "123", "45"]),
    ("gpt-4o", "helloWorld it's", ["hello", "World", " it's"]),
    ("tekken", "helloWorld 12", ["hello", "World", " ", "1", "2"]),
    ("tiny_aya", "1234567", ["1", "234", "567"]),
    ("bloom", "it is, so", ["it", " is", ",", " so"]),
    ("default", "a++ 1234", ["a", "++", " ", "123", "4"]),
])
def test_a_gguf_file_is_split_as_it_says(pre, text, pieces, tmp_path):
    backend = of_gguf(tmp_path, pre).backend_tokenizer
    assert [text[start:stop] for _, (start, stop) in backend.pre_tokenizer.pre_tokenize_str(text)] == pieces


def test_a_gguf_file_whose_splitting_is_not_known_is_refused(tmp_path):
    with pytest.raises(UnsupportedModel, match="called 'kimi-k2'.*which is not known"):
        of_gguf(tmp_path, "kimi-k2")
    with pytest.warns(WeirWarning, match="does not say how text is split"):
        assert of_gguf(tmp_path, None).backend_tokenizer.to_str() == of_gguf(tmp_path, "default").backend_tokenizer.to_str()


def test_what_a_splitting_brings_with_it(tmp_path):
    """Llama 3's begins a text with a token of its own and keeps words whole that no merges lead to."""
    vocabulary, merges = _unsplit()
    bos = vocabulary["Ġ"]
    assert of_gguf(tmp_path, "llama-bpe", bos_token_id=bos).encode("a")[0] == bos
    assert of_gguf(tmp_path, "llama-bpe", bos_token_id=bos, add_bos_token=False).encode("a") == [vocabulary["a"]]
    assert of_gguf(tmp_path, "qwen2", bos_token_id=bos).encode("a") == [vocabulary["a"]]
    word = next(word for word in ("Zw", "Qj", "Xq", "Vk") if word not in vocabulary)
    path = gguf_files.write_tokenizer(tmp_path / "word.gguf", vocabulary | {word: len(vocabulary)}, merges, "llama-bpe")
    assert sources.resolve(str(path)).tokenizer().encode(word, add_special_tokens=False) == [len(vocabulary)]
