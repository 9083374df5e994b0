"""Tiny random NLI models in Hugging Face's folder form, and the tokenizers that go with them."""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from zerostart.models.artefact import BUILTIN_FOLDER, Artefact, Manifest, read_artefact, write_manifest
from zerostart.models.local_artefacts import BUILTIN_MODEL_ID

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
_ROBERTA_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
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
    tokenizer = _byte_pairs(_ROBERTA_SPECIAL)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return tokenizer


def unigram_tokenizer() -> Tokenizer:
    """DeBERTa-v2's: SentencePiece unigrams in BERT's template."""
    tokenizer = _unigrams(_BERT_SPECIAL, unk_id=1)
    tokenizer.post_processor = _bert_template(tokenizer)
    return tokenizer


def _byte_pairs(special: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    if "[CLS]" in special:
        tokenizer.post_processor = _bert_template(tokenizer)
    return tokenizer


def _unigrams(special: list[str], unk_id: int) -> Tokenizer:
    """The vocabulary is written down too."""
    letters = [*_LETTERS, *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "▁"]
    pieces = [(piece, 0.0) for piece in special]
    pieces += [(letter, -6.0) for letter in letters] + [(f"▁{word}", -4.0) for word in _WORDS]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=unk_id, byte_fallback=False))
    tokenizer.add_special_tokens(special)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def _bert_template(tokenizer: Tokenizer) -> processors.TemplateProcessing:
    special = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    return processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=special
    )


def deberta_tokenizer() -> Tokenizer:
    """DeBERTa's first: byte pairs in BERT's template."""
    return _byte_pairs(["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"])


def xlm_roberta_tokenizer() -> Tokenizer:
    """XLM-RoBERTa's: SentencePiece unigrams in RoBERTa's template."""
    tokenizer = _unigrams(_ROBERTA_SPECIAL, unk_id=3)
    special = [(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=special
    )
    return tokenizer


@dataclass(frozen=True)
class Architecture:
    """A tiny model of one architecture: its tokenizer, the name of its config class, and what the config says.

    `spread` is the standard deviation of the weights: wide enough for logits to differ clearly. With 0.5, DeBERTa's
    scores in fp32 are 1e-5 off those in fp64 in torch itself, which leaves nothing to compare.
    """

    tokenizer: Callable[[], Tokenizer]
    config: str
    body: dict[str, Any] = field(default_factory=dict)
    spread: float = 0.4
    spread_name: str = "initializer_range"
    types: bool = False


_BODY: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": MAX_TOKENS,
    "pad_token_id": 0,
}
_ROBERTA_BODY = _BODY | {"max_position_embeddings": MAX_TOKENS + 2, "pad_token_id": 1}
_DISTILBERT_BODY = {
    "dim": 32,
    "n_layers": 2,
    "n_heads": 2,
    "hidden_dim": 48,
    "max_position_embeddings": MAX_TOKENS,
    "pad_token_id": 0,
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
_DEBERTA_BODY: dict[str, Any] = _BODY | {
    "relative_attention": True,
    "position_biased_input": False,
    "pos_att_type": ["p2c", "c2p"],
    "type_vocab_size": 0,
}
_BUCKETS = {"position_buckets": 16, "norm_rel_ebd": "layer_norm", "share_att_key": True}
# Texts are longer than the window of its local layers, of which there are two; the first layer is global.
_MODERNBERT_BODY = _BODY | {"num_hidden_layers": 3, "global_attn_every_n_layers": 3, "local_attention": 8}
_MODERNBERT_TOKENS = dict.fromkeys(("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 2)

ARCHITECTURES = {
    "bert": Architecture(word_piece_tokenizer, "BertConfig", _BODY, types=True),
    "distilbert": Architecture(word_piece_tokenizer, "DistilBertConfig", _DISTILBERT_BODY),
    "convbert": Architecture(
        word_piece_tokenizer,
        "ConvBertConfig",
        _BODY | {"num_attention_heads": 4, "embedding_size": 16, "conv_kernel_size": 3},
        spread=0.3,
        types=True,
    ),
    "electra": Architecture(word_piece_tokenizer, "ElectraConfig", _BODY | {"embedding_size": 16}, types=True),
    "roberta": Architecture(byte_level_tokenizer, "RobertaConfig", _ROBERTA_BODY | {"type_vocab_size": 1}),
    "xlm-roberta": Architecture(
        xlm_roberta_tokenizer, "XLMRobertaConfig", _ROBERTA_BODY | {"type_vocab_size": 1}, spread=0.6
    ),
    "mpnet": Architecture(byte_level_tokenizer, "MPNetConfig", _ROBERTA_BODY),
    "bart": Architecture(byte_level_tokenizer, "BartConfig", _BART_BODY, spread_name="init_std"),
    "deberta": Architecture(deberta_tokenizer, "DebertaConfig", _DEBERTA_BODY | {"pad_token_id": 1}, spread=0.3),
    "deberta-v2": Architecture(unigram_tokenizer, "DebertaV2Config", _DEBERTA_BODY | _BUCKETS, spread=0.3),
    "modernbert": Architecture(deberta_tokenizer, "ModernBertConfig", _MODERNBERT_BODY | _MODERNBERT_TOKENS),
}


def build_source(
    folder: Path, kind: str, classes: Sequence[str] = THREE_CLASSES, *, spread: float | None = None, **body: int
) -> Path:
    """Write a random model of the architecture `kind`, whose id2label is `classes`; returns `folder`.

    `body` is what its config says otherwise.
    """
    import torch
    import transformers

    architecture = ARCHITECTURES[kind]
    folder.mkdir(parents=True)
    tokenizer = architecture.tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = getattr(transformers, architecture.config)(
        vocab_size=tokenizer.get_vocab_size(),
        id2label=dict(enumerate(classes)),
        label2id={name: i for i, name in enumerate(classes)},
        **architecture.body | {architecture.spread_name: spread or architecture.spread} | body,
    )
    torch.manual_seed(0)
    transformers.AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    (folder / "tokenizer_config.json").write_text(json.dumps(_tokenizer_config(tokenizer, types=architecture.types)))
    return folder


def _tokenizer_config(tokenizer: Tokenizer, *, types: bool) -> dict[str, Any]:
    names = ("pad_token", "unk_token", "cls_token", "sep_token")
    bert = tokenizer.token_to_id("[CLS]") is not None
    tokens = ("[PAD]", "[UNK]", "[CLS]", "[SEP]") if bert else ("<pad>", "<unk>", "<s>", "</s>")
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": MAX_TOKENS,
        "model_input_names": ["input_ids", "attention_mask", *(["token_type_ids"] if types else [])],
        **dict(zip(names, tokens, strict=True)),
    }


POOLING_KEYS = {
    "mean": "pooling_mode_mean_tokens",
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
}


def sentence_modules(*kinds: str) -> list[dict[str, Any]]:
    """What sentence-transformers writes into modules.json."""
    return [
        {"idx": number, "name": str(number), "path": "", "type": f"sentence_transformers.models.{kind}"}
        for number, kind in enumerate(kinds)
    ]


def build_sentence_source(folder: Path) -> Path:
    """Write a random BERT without a head, as sentence-transformers saves one that pools by the mean."""
    import torch
    import transformers

    folder.mkdir(parents=True)
    tokenizer = word_piece_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=tokenizer.get_vocab_size(), initializer_range=0.4, **_BODY)
    transformers.BertModel(config).save_pretrained(folder)
    (folder / "1_Pooling").mkdir()
    documents: dict[str, Any] = {
        "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast"},
        "modules.json": sentence_modules("Transformer", "Pooling", "Normalize"),
        "1_Pooling/config.json": {key: name == "mean" for name, key in POOLING_KEYS.items()},
        "sentence_bert_config.json": {"max_seq_length": 40},
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document))
    return folder


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
