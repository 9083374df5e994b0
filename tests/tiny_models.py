"""Tiny random NLI models in Hugging Face's folder form, and the tokenizers that go with them."""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from zerostart.models.artefact import Artefact, Manifest, read_artefact, write_manifest
from zerostart.models.local_artefacts import BUILTIN_FOLDER, BUILTIN_MODEL_ID

BUILTIN = BUILTIN_FOLDER / BUILTIN_MODEL_ID
MAX_TOKENS = 64
THREE_CLASSES = ("contradiction", "neutral", "entailment")
SENTENCES = (
    "One day I will see the world and travel to far countries.",
    "Whisk the eggs, then fold in the flour and bake for half an hour.",
    "The central bank raised interest rates by a quarter of a point.",
    "She scored twice in the last ten minutes of the final.",
    "This example is about travel, cooking, finance, health or sport.",
    "The quick brown fox jumps over the lazy dog while it rains in the city.",
)
LABELS = ["travel", "cooking", "finance", "sport"]


_BERT_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_WORDS = sorted({word for sentence in SENTENCES for word in re.findall(r"\w+", sentence.lower())})
_LETTERS = list("abcdefghijklmnopqrstuvwxyz0123456789.,'")


def word_piece_tokenizer() -> Tokenizer:
    """BERT's: [CLS] premise [SEP] hypothesis [SEP], type ids 0 and 1. Words of the sentences are whole, others split.

    Its vocabulary is written down, not trained, because training settles ties at random.
    """
    pieces = dict.fromkeys([*_BERT_SPECIAL, *_LETTERS, *(f"##{letter}" for letter in _LETTERS), *_WORDS])
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.add_special_tokens(_BERT_SPECIAL)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = _bert_template(tokenizer)
    return tokenizer


def byte_level_tokenizer() -> Tokenizer:
    """RoBERTa's and BART's: <s> premise </s></s> hypothesis </s>."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return tokenizer


def unigram_tokenizer() -> Tokenizer:
    """DeBERTa-v2's: SentencePiece unigrams in BERT's template, written down too."""
    letters = [*_LETTERS, *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "▁"]
    pieces = [(piece, 0.0) for piece in _BERT_SPECIAL]
    pieces += [(letter, -6.0) for letter in letters] + [(f"▁{word}", -4.0) for word in _WORDS]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=1, byte_fallback=False))
    tokenizer.add_special_tokens(_BERT_SPECIAL)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = _bert_template(tokenizer)
    return tokenizer


def _bert_template(tokenizer: Tokenizer) -> processors.TemplateProcessing:
    special = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    return processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=special
    )


TOKENIZERS: dict[str, Callable[[], Tokenizer]] = {
    "bert": word_piece_tokenizer,
    "roberta": byte_level_tokenizer,
    "bart": byte_level_tokenizer,
    "deberta-v2": unigram_tokenizer,
}
_BERT_TOKENS = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
_ROBERTA_TOKENS = {
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "cls_token": "<s>",
    "sep_token": "</s>",
    "bos_token": "<s>",
    "eos_token": "</s>",
}
_BODY: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": MAX_TOKENS,
}
_BART_BODY: dict[str, Any] = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": MAX_TOKENS,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
}


def build_source(
    folder: Path, kind: str, classes: Sequence[str] = THREE_CLASSES, *, spread: float | None = None
) -> Path:
    """Write a random model of the architecture `kind`, whose id2label is `classes`; returns `folder`.

    `spread` is the standard deviation of the weights: wide enough for logits to differ clearly. With 0.5, DeBERTa's
    scores in fp32 are 1e-5 off those in fp64 in torch itself, which leaves nothing to compare.
    """
    import torch
    import transformers

    folder.mkdir(parents=True)
    tokenizer = TOKENIZERS[kind]()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = _config(transformers, kind, vocab_size=tokenizer.get_vocab_size())
    setattr(
        config, "init_std" if kind == "bart" else "initializer_range", spread or (0.3 if kind == "deberta-v2" else 0.4)
    )
    config.id2label = dict(enumerate(classes))
    config.label2id = {name: i for i, name in enumerate(classes)}
    torch.manual_seed(0)
    transformers.AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    tokens = _ROBERTA_TOKENS if kind in {"roberta", "bart"} else _BERT_TOKENS
    names = (
        ["input_ids", "attention_mask"]
        if kind in {"roberta", "bart"}
        else ["input_ids", "token_type_ids", "attention_mask"]
    )
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": MAX_TOKENS,
        "model_input_names": names,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | tokens))
    return folder


def _config(transformers: Any, kind: str, vocab_size: int) -> Any:
    if kind == "bert":
        return transformers.BertConfig(vocab_size=vocab_size, pad_token_id=0, **_BODY)
    if kind == "roberta":
        body = _BODY | {"max_position_embeddings": MAX_TOKENS + 2}
        return transformers.RobertaConfig(vocab_size=vocab_size, pad_token_id=1, type_vocab_size=1, **body)
    if kind == "bart":
        return transformers.BartConfig(vocab_size=vocab_size, **_BART_BODY)
    return transformers.DebertaV2Config(
        vocab_size=vocab_size,
        pad_token_id=0,
        type_vocab_size=0,
        relative_attention=True,
        position_buckets=16,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type=["p2c", "c2p"],
        position_biased_input=False,
        **_BODY,
    )


def rename_classes(source: Path, folder: Path, classes: Sequence[str]) -> Path:
    """A copy of the Hugging Face folder `source` whose classes have other names."""
    shutil.copytree(source, folder)
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {str(i): name for i, name in enumerate(classes)}
    config["label2id"] = {name: i for i, name in enumerate(classes)}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def edit_manifest(folder: Path, **values: Any) -> Path:
    """Overwrite values in `zerostart.json`; returns `folder`."""
    path = folder / "zerostart.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return folder


def copy_artefact(source: Path, folder: Path, **values: Any) -> Path:
    """A copy of an artefact with other values in its manifest; returns `folder`."""
    shutil.copytree(source, folder)
    return edit_manifest(folder, **values)


def weightless_artefact(folder: Path, model_id: str = "tiny", **values: Any) -> Artefact:
    """An artefact for the fake engine: a tiny tokenizer and no weights."""
    folder.mkdir(parents=True)
    word_piece_tokenizer().save(str(folder / "tokenizer.json"))
    fields: dict[str, Any] = {
        "model_id": model_id,
        "revision": "1",
        "architecture": "bert",
        "classes": THREE_CLASSES,
        "max_tokens": MAX_TOKENS,
        "pad_token_id": 0,
        "licence": "Apache-2.0",
        "languages": ("en",),
    }
    write_manifest(folder, Manifest(**(fields | values)))
    return read_artefact(folder)
