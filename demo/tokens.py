"""The demo's tokenizer: byte-level BPE with Qwen2's split pattern, trained on the demo's own sentences."""

import json
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

END = "<|endoftext|>"
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
OBJECT_WEIGHT = 60  # repeats of each object, so that every one becomes a single token


def train_bpe(corpus: list[str], vocab_size: int) -> Tokenizer:
    """Merges are learned from the corpus. A corpus that is too small for the vocabulary is an error."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=[END], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(corpus, trainer)
    if tokenizer.get_vocab_size() != vocab_size:
        raise ValueError(f"vocabulary of {tokenizer.get_vocab_size()}, expected {vocab_size}")
    return tokenizer


def train_tokenizer(sentences: list[tuple[str, str]], vocab_size: int) -> Tokenizer:
    """Merges are learned from the sentences and from each object on its own."""
    objects = sorted({answer for _, answer in sentences})
    corpus = [text + answer + "." for text, answer in sentences] + objects * OBJECT_WEIGHT
    tokenizer = train_bpe(corpus, vocab_size)
    split = [o for o in objects if len(tokenizer.encode(o).ids) != 1]
    if split:
        raise ValueError(f"objects that are not one token: {split}")
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, longest: int = 64) -> None:
    """tokenizer.json and the tokenizer_config.json that AutoTokenizer wants beside it; the longest text in tokens."""
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "add_bos_token": False,
        "add_prefix_space": False,
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": END,
        "model_max_length": longest,
        "pad_token": END,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": None,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
