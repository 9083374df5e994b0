"""From a torch model to an ONNX graph whose weights are written apart, so that they are in memory but once."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zerostart.models.model_file import MODEL, Weight, WeightType, write_model
from zerostart.models.reference import Reference

if TYPE_CHECKING:
    import onnx

_OPSET = 17
_FIRST_TOKEN_HEADS = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
_TRACED = (3, 12)


def export(reference: Reference, folder: Path, *, stored_as: WeightType, largest_file_bytes: int) -> None:
    """Write the model of `reference` into `folder` as ONNX. It computes nothing else than before, but cannot be used
    for anything else afterwards.
    """
    import onnx

    _prepare(reference)
    _trace(reference, folder / MODEL)
    graph = onnx.load(str(folder / MODEL))
    weights = _weights(graph, reference)
    write_model(graph, weights, folder, stored_as=stored_as, largest_file_bytes=largest_file_bytes)


def _trace(reference: Reference, path: Path) -> None:
    import torch

    model, names = reference.model, reference.inputs

    class Logits(torch.nn.Module):
        """The model with plain tensors in and out."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.model(**dict(zip(names, tensors, strict=True))).logits
            return logits

    example = reference.example(*_TRACED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Logits(),
            tuple(torch.from_numpy(array) for array in example.arrays(names)),
            str(path),
            input_names=list(names),
            output_names=["logits"],
            dynamic_axes={name: {0: "pairs", 1: "tokens"} for name in names} | {"logits": {0: "pairs"}},
            opset_version=_OPSET,
            export_params=False,  # the exporter would hold the weights five times
            do_constant_folding=False,  # what it folds it keeps as a weight
            dynamo=False,  # OpenVINO fuses this graph's attention, not that of the newer exporter's
        )


def _weights(graph: "onnx.ModelProto", reference: Reference) -> list[Weight]:
    """The weights of the graph, which has them as inputs; they are taken out of those.

    A weight that is used transposed and not otherwise is stored transposed.
    """
    parameters = {f"model.{name}": value for name, value in reference.model.state_dict().items()}
    transposed = _fold_transposes(graph, parameters.keys() - set(reference.inputs))
    weights = []
    for value in list(graph.graph.input):
        if value.name in reference.inputs:
            continue
        tensor = parameters[value.name].detach()
        if value.name in transposed:
            tensor = tensor.t()
        weights.append(Weight(value.name, tensor.numel(), tensor.element_size(), tensor.numpy))
        graph.graph.input.remove(value)
    return weights


def _fold_transposes(graph: "onnx.ModelProto", names: "set[str]") -> set[str]:
    """Remove each Transpose of a matrix among `names` that has no other use; returns the names of those matrices."""
    users: dict[str, list[Any]] = {}
    for node in graph.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    folded = set()
    for name in names & users.keys():
        node = users[name][0]
        if len(users[name]) > 1 or node.op_type != "Transpose" or list(node.attribute[0].ints) != [1, 0]:
            continue
        for user in users.get(node.output[0], ()):
            user.input[:] = [name if each == node.output[0] else each for each in user.input]
        graph.graph.node.remove(node)
        folded.add(name)
    return folded


def _prepare(reference: Reference) -> None:
    """Change what the trace would get wrong or do for nothing."""
    model = reference.model
    if model.config.model_type in _FIRST_TOKEN_HEADS and not reference.embeds:
        _compute_last_layer_for_first_token(model)
    if model.config.model_type == "mpnet" and not reference.embeds:
        _compute_last_mpnet_layer_for_first_token(model)
    if model.config.model_type == "convbert":
        _mask_convolutions(model)


def _compute_last_layer_for_first_token(model: Any) -> None:
    """BERT's family classifies by the first token alone, so the last layer needs keys and values of all tokens but the
    rest of its work for the first one only. Exact, and 14 % less to multiply in a model of six layers.
    """
    layer = getattr(model, model.base_model_prefix).encoder.layer[-1]
    attention = layer.attention.self
    size = attention.attention_head_size

    def heads(states: Any) -> Any:
        return states.view(states.shape[0], states.shape[1], -1, size).transpose(1, 2)

    def forward(hidden_states: Any, attention_mask: Any = None, *_: Any, **__: Any) -> Any:
        first = hidden_states[:, :1]
        query, key = heads(attention.query(first)), heads(attention.key(hidden_states))
        weights = query @ key.transpose(2, 3) * size**-0.5
        if attention_mask is not None:
            weights = weights + attention_mask[:, :, :1]
        context = (weights.softmax(-1) @ heads(attention.value(hidden_states))).transpose(1, 2).flatten(2)
        attended = layer.attention.output(context, first)
        return layer.output(layer.intermediate(attended), attended)

    layer.forward = forward


def _compute_last_mpnet_layer_for_first_token(model: Any) -> None:
    """The same for MPNet, whose attention adds a bias by the distance of two tokens."""
    layer = model.mpnet.encoder.layer[-1]
    attention = layer.attention.attn
    number, size = attention.num_attention_heads, attention.attention_head_size

    def forward(hidden_states: Any, attention_mask: Any = None, position_bias: Any = None, **_: Any) -> Any:
        def heads(states: Any) -> Any:  # a shape that is not read from the states leaves them to be scaled by engines
            return states.view(hidden_states.shape[0], -1, number, size).transpose(1, 2)

        first = hidden_states[:, :1]
        query, key = heads(attention.q(first)), heads(attention.k(hidden_states))
        weights = query @ key.transpose(2, 3) / size**0.5 + position_bias[:, :, :1]
        if attention_mask is not None:
            weights = weights + attention_mask
        context = (weights.softmax(-1) @ heads(attention.v(hidden_states))).transpose(1, 2).flatten(2)
        attended = layer.attention.LayerNorm(attention.o(context) + first)
        return (layer.output(layer.intermediate(attended), attended),)

    layer.forward = forward


def _mask_convolutions(model: Any) -> None:
    """ConvBERT's convolutions see the padding after a pair, so that its answer depends on how long its neighbours are.
    With zeros there instead, which is what they see after a pair without padding, it does not.
    """
    held: dict[str, Any] = {}

    def hold(_: Any, __: Any, arguments: dict[str, Any]) -> None:
        held["mask"] = arguments["attention_mask"]

    model.register_forward_pre_hook(hold, with_kwargs=True)
    for layer in model.convbert.encoder.layer:
        attention = layer.attention.self
        attention.key_conv_attn_layer.register_forward_pre_hook(lambda _, inputs: inputs[0] * held["mask"][:, None])
        attention.conv_out_layer.register_forward_hook(lambda _, __, output: output * held["mask"][:, :, None])
