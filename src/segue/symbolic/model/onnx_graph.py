"""The GPT as one ONNX graph, for reading a prompt and for decoding alike.

The graph is written operator by operator from the weights, not traced: it can then use the fused
operators of ONNX Runtime directly (so that a session needs no optimisation pass when it is
opened), keep the prefix of all candidates apart from what each of them adds, and store int8 weights.

Names of dimensions: ``batch`` candidates, ``tokens`` new tokens, ``prefix`` tokens that all
candidates share, ``past`` room for the tokens that each candidate has added, ``rows`` tokens
whose logits are wanted, ``heads``, ``dim``, ``layers``.

| input | shape | meaning |
|---|---|---|
| ids, times | int64 [batch, tokens] | the new tokens; times with rotary positions only |
| positions | int64 [tokens] | their indices in the sequence |
| rows | int64 [rows] | which of the new tokens get logits |
| bias | float [tokens, past + tokens] | 0 where a new token may look, very negative elsewhere |
| prefix_keys_i, prefix_values_i | float [heads, 1, prefix, dim] | layer i's shared cache |
| past_keys_i, past_values_i | float [heads, batch, past, dim] | layer i's own cache |

Outputs: logits float [batch, rows, vocab]; new_keys and new_values float
[layers, heads, batch, tokens, dim], which the caller files into its caches. Nothing that is
cached is ever copied inside the graph: attention scores of the three parts are joined, not
keys. The prefix is read once for all candidates ("Bifurcated attention", Athiwaratkun et al.,
2024).
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from segue.symbolic.model.gpt import GPTConfig

Array = npt.NDArray[np.generic]
Weights = Mapping[str, npt.NDArray[np.float32]]

BLOCK_SIZE: Final = 64
"""Input channels that share one scale in the int8 graph."""

_OPSET = 18
_IR_VERSION = 9
_CONTRIB = "com.microsoft"
_INT8_ACTIVATIONS = 4
_RMS_EPSILON = 1e-6
_LAYER_EPSILON = 1e-5


def build_graph(config: GPTConfig, weights: Weights, *, int8: bool) -> onnx.ModelProto:
    """Return the graph of a model.

    Args:
        config: the architecture.
        weights: `GPT.state_dict()` as float32 arrays, plus `rotary.index_frequencies` and
            `rotary.time_frequencies` where positions are rotary.
        int8: store the matrices as 8-bit integers, one scale to every :data:`BLOCK_SIZE` input
            channels; activations are rounded row by row, so that no candidate's logits depend
            on the other candidates. Embeddings are stored as float16 then.
    """
    return _Builder(config, weights, int8=int8).build()


def quantize(
    matrix: npt.NDArray[np.float32], block_size: int = BLOCK_SIZE
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Round a matrix to 8 bits in blocks along its input channels.

    Args:
        matrix: [outputs, inputs].
        block_size: inputs that share a scale; the last block is filled up with zeros.

    Returns:
        [outputs, blocks, block_size] uint8 around the zero point 128, and [outputs, blocks] scales:
        the matrix is about (integers - 128) * scale.
    """
    outputs, inputs = matrix.shape
    blocks = -(-inputs // block_size)
    padded = np.zeros((outputs, blocks * block_size), np.float32)
    padded[:, :inputs] = matrix
    padded = padded.reshape(outputs, blocks, block_size)
    scales = np.abs(padded).max(axis=2) / 127.0
    scales[scales == 0] = 1.0
    integers = np.rint(padded / scales[..., None]).clip(-127, 127) + 128
    return integers.astype(np.uint8), scales.astype(np.float32)


class _Builder:
    """Collects the nodes and constants of one graph."""

    def __init__(self, config: GPTConfig, weights: Weights, *, int8: bool) -> None:
        self.config = config
        self.weights = weights
        self.int8 = int8
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def build(self) -> onnx.ModelProto:
        """Write the whole graph."""
        hidden = self._embed()
        rotation = self._rotation() if self.config.positions == "rotary" else None
        parts = self._op("Concat", *self._lengths(), axis=0)
        normed = self._norm(hidden, "blocks.0.attention_norm")
        keys, values = [], []
        for layer in range(self.config.num_layers):
            block = f"blocks.{layer}"
            query, key, value = self._project(normed, block, rotation)
            keys.append(key)
            values.append(value)
            attended = self._attend(layer, query, key, value, parts)
            attended = self._linear(attended, f"{block}.attention.out")
            normed, hidden = self._add_norm(hidden, attended, f"{block}.feed_forward_norm")
            inner = self._linear(normed, f"{block}.feed_forward.up")
            inner = self._op("FastGelu", inner, domain=_CONTRIB)
            update = self._linear(inner, f"{block}.feed_forward.down")
            if layer + 1 < self.config.num_layers:
                following = f"blocks.{layer + 1}.attention_norm"
                normed, hidden = self._add_norm(hidden, update, following)
            else:
                hidden = self._op("Add", hidden, update)
        wanted = self._op("Gather", hidden, "rows", axis=1)
        self._linear(self._norm(wanted, "final_norm"), "head", output="logits")
        self._stack(keys, "new_keys")
        self._stack(values, "new_values")
        return self._model()

    def _embed(self) -> str:
        """Return the residual stream before the first block, [batch, tokens, width]."""
        hidden = self._lookup("embedding.weight", "ids")
        if self.config.positions == "learned":
            hidden = self._op("Add", hidden, self._lookup("positions.weight", "positions"))
        return hidden

    def _lookup(self, name: str, index: str) -> str:
        """Return rows of a table, which the int8 graph stores as float16."""
        table = self.weights[name]
        if not self.int8:
            return self._op("Gather", self._constant(name, table), index)
        row = self._op("Gather", self._constant(name, table.astype(np.float16)), index)
        return self._op("Cast", row, to=TensorProto.FLOAT)

    def _rotation(self) -> tuple[str, str, str]:
        """Return cosines and sines [batch * tokens, dim / 2] and each token's row in them."""
        index_angles = self._op("Mul", self._column("positions"), self._frequencies("index"))
        time_angles = self._op("Mul", self._column("times"), self._frequencies("time"))
        index_angles = self._op("Expand", index_angles, self._op("Shape", time_angles))
        angles = self._op("Concat", index_angles, time_angles, axis=-1)
        flat = self._integers("angles_shape", [-1, self.config.head_dim // 2])
        angles = self._op("Reshape", angles, flat)
        shape = self._op("Shape", "ids")
        count = self._op("ReduceProd", shape, keepdims=0)
        zero, one = self._integers("zero", 0), self._integers("one", 1)
        rows = self._op("Reshape", self._op("Range", zero, count, one), shape)
        return rows, self._op("Cos", angles), self._op("Sin", angles)

    def _column(self, name: str) -> str:
        """Return an integer input as floats with a last axis of one."""
        number = self._op("Cast", name, to=TensorProto.FLOAT)
        return self._op("Unsqueeze", number, self._integers("last_axis", [-1]))

    def _frequencies(self, kind: str) -> str:
        name = f"rotary.{kind}_frequencies"
        return self._constant(name, self.weights[name])

    def _lengths(self) -> tuple[str, str, str]:
        """Return the lengths of the three parts of the sequence, each as a vector of one."""
        return (
            self._op("Shape", "prefix_keys_0", start=2, end=3),
            self._op("Shape", "past_keys_0", start=2, end=3),
            self._op("Shape", "ids", start=1, end=2),
        )

    def _project(
        self, normed: str, block: str, rotation: tuple[str, str, str] | None
    ) -> tuple[str, str, str]:
        """Return queries (already scaled), keys and values, each [heads, batch, tokens, dim]."""
        heads, width = self.config.num_heads, self.config.width
        joined = self._linear(normed, f"{block}.attention.qkv")
        if rotation is None:
            query, key, value = self._heads(joined, 3)
            return query, key, value
        sizes = self._integers("turned_and_values", [2 * width, width])
        turned, values = self._ops("Split", joined, sizes, outputs=2, axis=-1)
        turned = self._op(
            "RotaryEmbedding", turned, *rotation, domain=_CONTRIB, num_heads=2 * heads
        )
        query, key = self._heads(turned, 2)
        return query, key, self._heads(values, 1)[0]

    def _heads(self, joined: str, count: int) -> list[str]:
        """Split [batch, tokens, count * width] into `count` times [heads, batch, tokens, dim]."""
        heads = self.config.num_heads
        shape = self._integers("heads_shape", [0, 0, -1, self.config.head_dim])
        turned = self._op("Transpose", self._op("Reshape", joined, shape), perm=[2, 0, 1, 3])
        if count == 1:
            return [turned]
        sizes = self._integers(f"heads_of_{count}", [heads] * count)
        return self._ops("Split", turned, sizes, outputs=count, axis=0)

    def _attend(self, layer: int, query: str, key: str, value: str, parts: str) -> str:
        """Attend to prefix, past and new tokens; return [batch, tokens, width]."""
        shared = self._scores(query, f"prefix_keys_{layer}")
        own = self._scores(query, f"past_keys_{layer}")
        new = self._scores(query, key)
        own = self._op("Add", self._op("Concat", own, new, axis=-1), "bias")
        share = self._op("Softmax", self._op("Concat", shared, own, axis=-1), axis=-1)
        shares = self._ops("Split", share, parts, outputs=3, axis=-1)
        sources = (f"prefix_values_{layer}", f"past_values_{layer}", value)
        found = (self._op("MatMul", part, src) for part, src in zip(shares, sources, strict=True))
        attended = self._op("Transpose", self._op("Sum", *found), perm=[1, 2, 0, 3])
        return self._op("Reshape", attended, self._integers("joined_shape", [0, 0, -1]))

    def _scores(self, query: str, keys: str) -> str:
        return self._op("FusedMatMul", query, keys, domain=_CONTRIB, transB=1)

    def _norm(self, hidden: str, name: str) -> str:
        if self.config.norm == "rms":
            # A function of ONNX Runtime that stands in the standard domain.
            kind, epsilon = "SimplifiedLayerNormalization", _RMS_EPSILON
        else:
            kind, epsilon = "LayerNormalization", _LAYER_EPSILON
        return self._op(kind, hidden, *self._norm_weights(name), axis=-1, epsilon=epsilon)

    def _add_norm(self, hidden: str, update: str, name: str) -> tuple[str, str]:
        """Return the norm of the sum, and the sum."""
        rms = self.config.norm == "rms"
        kind = "SkipSimplifiedLayerNormalization" if rms else "SkipLayerNormalization"
        names = [f"{name}.normed", "", "", f"{name}.sum"]
        self.nodes.append(
            helper.make_node(
                kind,
                [hidden, update, *self._norm_weights(name)],
                names,
                domain=_CONTRIB,
                epsilon=_RMS_EPSILON if rms else _LAYER_EPSILON,
            )
        )
        return names[0], names[3]

    def _norm_weights(self, name: str) -> list[str]:
        names = (f"{name}.weight", f"{name}.bias")
        return [self._constant(key, self.weights[key]) for key in names if key in self.weights]

    def _linear(self, hidden: str, name: str, *, output: str | None = None) -> str:
        """Multiply by a weight matrix [outputs, inputs] and add its bias where it has one."""
        matrix, bias = self._matrix(name)
        outputs, inputs = matrix.shape
        offset = None if bias is None else self._constant(f"{name}.bias", bias)
        if self.int8:
            integers, scales = quantize(matrix)
            arguments = [
                hidden,
                self._constant(f"{name}.integers", integers),
                self._constant(f"{name}.scales", scales),
                *([] if offset is None else ["", "", offset]),
            ]
            return self._op(
                "MatMulNBits",
                *arguments,
                output=output,
                domain=_CONTRIB,
                K=inputs,
                N=outputs,
                bits=8,
                block_size=BLOCK_SIZE,
                accuracy_level=_INT8_ACTIVATIONS,
            )
        factor = self._constant(f"{name}.transposed", matrix.T)
        if offset is None:
            return self._op("MatMul", hidden, factor, output=output)
        return self._op("Add", self._op("MatMul", hidden, factor), offset, output=output)

    def _matrix(self, name: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
        """Return weight and bias; the queries' part is scaled by 1 / sqrt(dim) beforehand."""
        matrix, bias = self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias")
        if not name.endswith(".qkv"):
            return matrix, bias
        scale = np.ones(len(matrix), np.float32)
        scale[: self.config.width] = 1.0 / math.sqrt(self.config.head_dim)
        return matrix * scale[:, None], None if bias is None else bias * scale

    def _stack(self, parts: list[str], output: str) -> None:
        axis = self._integers("first_axis", [0])
        self._op("Concat", *(self._op("Unsqueeze", p, axis) for p in parts), output=output, axis=0)

    def _model(self) -> onnx.ModelProto:
        """Join nodes, constants, inputs and outputs into a model."""
        config = self.config
        cache = ("layers", "heads", "batch", "tokens", "dim")
        sizes = {"layers": config.num_layers, "heads": config.num_heads, "dim": config.head_dim}
        fixed = [sizes.get(name, name) for name in cache]
        outputs = [_value("logits", ["batch", "rows", config.vocab_size])]
        outputs += [_value("new_keys", fixed), _value("new_values", fixed)]
        graph = helper.make_graph(
            self.nodes, "gpt", self._inputs(), outputs, list(self.constants.values())
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_CONTRIB, 1)]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="segue"
        )
        helper.set_model_props(model, {"context_length": str(config.context_length)})
        return model

    def _inputs(self) -> list[onnx.ValueInfoProto]:
        config = self.config
        whole = TensorProto.INT64
        inputs = [_value("ids", ["batch", "tokens"], whole)]
        if config.positions == "rotary":
            inputs.append(_value("times", ["batch", "tokens"], whole))
        inputs += [_value("positions", ["tokens"], whole), _value("rows", ["rows"], whole)]
        inputs.append(_value("bias", ["tokens", "past_and_tokens"]))
        for layer in range(config.num_layers):
            for part, batch in (("prefix", 1), ("past", "batch")):
                shape = [config.num_heads, batch, part, config.head_dim]
                inputs.append(_value(f"{part}_keys_{layer}", shape))
                inputs.append(_value(f"{part}_values_{layer}", shape))
        return inputs

    def _constant(self, name: str, array: Array) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def _integers(self, name: str, values: int | list[int]) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.array(values, np.int64), name)
        return name

    def _op(
        self,
        kind: str,
        *inputs: str,
        output: str | None = None,
        domain: str = "",
        **attributes: Any,
    ) -> str:
        """Add a node with one output and return the output's name."""
        name = output or f"{kind}_{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(kind, list(inputs), [name], name=name, domain=domain, **attributes)
        )
        return name

    def _ops(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Add a node with several outputs and return their names."""
        names = [f"{kind}_{len(self.nodes)}_{part}" for part in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names


def _value(name: str, shape: list[int | str], kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)
