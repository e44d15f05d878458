# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A Hugging Face causal model with its KV cache inside: the module that is exported.

One forward pass serves prefill and decode:

    input_ids  [b, S] int64     padding may hold any id of the vocabulary
    positions  [b, S] int64     absolute; -1 marks padding
    logits     [b, S, V] float32

Batch row i uses row i of the cache. A key or value is written at (row, position), and a token sees
the slots 0..position of its row (a sliding-window layer: the last `window` of them). What lies
behind a token's position is never seen, so a row starts afresh by starting again at position 0.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as functional
from transformers.cache_utils import Cache
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from ..errors import first_line
from .errors import ExportError, UnsupportedModel

ATTENTION = "weir_kv_cache"

# Numbers that a head's keys and values are a multiple of for weir::cached_attention (include/weir/Kernels/Steps.h).
KEY_LANES, LANES = 32, 16

# A program is traced with two rows of two tokens. If two were also the most that there may be, tracing would
# conclude that it is always two, and compilers would build on it: so a program has room for at least three.
LEAST_ROOM = 3


@dataclass(frozen=True)
class LayerShape:
    """What one attention layer keeps and how it looks at it."""

    key_heads: int
    key_dim: int
    value_dim: int
    groups: int  # query heads per key/value head
    window: int | None  # None: every earlier token is seen
    own: bool = False  # weir::cached_attention does it, see _attention

    def fits(self) -> bool:
        """Whether the kernels of weir::cached_attention have heads of these widths."""
        return self.key_dim % KEY_LANES == 0 and self.value_dim % LANES == 0


class KVCache(torch.nn.Module):
    """The cache: per layer key_L [B, max + 1, key_heads, key_dim] and value_L [..., value_dim].

    Slot `max` of each row is the spare one: padding is written there and nothing reads it.
    The buffers are not persistent: they are no part of the model's weights.
    """

    def __init__(self, shapes: dict[int, LayerShape], rows: int, length: int, dtype: torch.dtype):
        super().__init__()
        for layer, shape in shapes.items():
            for name, dim in (("key", shape.key_dim), ("value", shape.value_dim)):
                zeros = torch.zeros(rows, length + 1, shape.key_heads, dim, dtype=dtype)
                self.register_buffer(f"{name}_{layer}", zeros, persistent=False)


class _Pass(Cache):
    """One forward pass over a KVCache, in the shape transformers' modelling code asks for."""

    layers = ()  # transformers looks for its own kinds of layers here to choose masks

    def __init__(self, cache: KVCache, shapes: dict[int, LayerShape], length: int, positions: torch.Tensor):
        # Cache.__init__ would allocate layers of its own.
        self.cache, self.shapes, self.length = cache, shapes, length
        self.batch = positions.shape[0]
        self.rows = torch.arange(self.batch).unsqueeze(1)
        # Padding goes to the spare slot `length`; a position that does not fit is moved past it,
        # so that it is an index error instead of a token that silently misses itself.
        slots = positions + (positions >= length)
        self.slots = torch.where(positions < 0, length, slots)

    def update(self, keys, values, layer_idx, *args, **kwargs):
        """keys, values [b, heads, S, dim] -> everything cached of these rows [b, heads, max, dim], or of all rows, as
        it lies, where weir::cached_attention reads it."""
        result = []
        for name, new in (("key", keys), ("value", values)):
            buffer = getattr(self.cache, f"{name}_{layer_idx}")
            buffer.index_put_((self.rows, self.slots), new.transpose(1, 2))
            result.append(buffer if self.shapes[layer_idx].own else buffer[: self.batch, : self.length].transpose(1, 2))
        return tuple(result)

    def get_seq_length(self, layer_idx=0):
        return 0

    def get_max_cache_shape(self, layer_idx=0):
        return self.length

    def __len__(self):
        return self.length


class _Probe(Cache):
    """Stands in for a cache once, to learn what every layer wants to keep."""

    layers = ()

    def __init__(self, own: bool):
        self.own = own
        self.seen: dict[int, tuple[torch.Size, torch.Size]] = {}
        self.shapes: dict[int, LayerShape] = {}

    def update(self, keys, values, layer_idx, *args, **kwargs):
        if layer_idx in self.seen:
            raise UnsupportedModel(f"layer {layer_idx} writes to the KV cache twice in one pass")
        self.seen[layer_idx] = (keys.shape, values.shape)
        return keys, values

    def get_seq_length(self, layer_idx=0):
        return 0

    def __len__(self):
        return 1


@dataclass(frozen=True)
class _Running:
    """What attention needs of the pass under way."""

    shapes: dict[int, LayerShape]
    masks: dict  # by window and groups
    last: torch.Tensor  # [b, S]: the last slot that a token sees


# The pass under way: (it, None) while running, (None, probe) while probing. transformers hands an attention
# function neither the cache nor anything else that could carry the masks.
_active: tuple[_Running | None, _Probe | None] | None = None


@contextlib.contextmanager
def _activate(running=None, probe=None):
    global _active
    before, _active = _active, (running, probe)
    try:
        yield
    finally:
        _active = before


def _attention(module, query, key, value, attention_mask, dropout=0.0, scaling=None,
               sliding_window=None, softcap=None, **kwargs):
    """Attention of `query` [b, H, S, d] over cached `key`, `value` [b, H / groups, max, d].

    Query heads that share a key/value head become rows of one product instead of copies of keys and
    values (at decode the cache is what there is to read). Where weir::cached_attention does it, `key` and `value` are
    the buffers of the cache, of which it reads the slots that a token sees. Returns ([b, S, H, d], None).
    """
    running, probe = _active
    batch, heads, length, dim = query.shape
    if kwargs.get("s_aux") is not None:
        raise UnsupportedModel("attention sinks are not supported")
    if probe is not None:
        layer = module.layer_idx
        if layer not in probe.seen:
            raise UnsupportedModel(f"layer {layer} attends without writing to the KV cache")
        keys, values = probe.seen[layer]
        shape = LayerShape(keys[1], keys[3], values[3], heads // keys[1], sliding_window)
        own = probe.own and softcap is None and shape.fits()
        probe.shapes[layer] = replace(shape, own=own)
        return query.new_zeros(batch, length, heads, value.shape[3]), None

    if running.shapes[module.layer_idx].own:
        scale = dim**-0.5 if scaling is None else float(scaling)
        return torch.ops.weir.cached_attention(query, key, value, running.last, scale, sliding_window), None
    groups = heads // key.shape[1]
    mask = running.masks[sliding_window, groups]
    if groups > 1:
        # contiguous + view, not reshape: whether a reshape copies depends on S, and export would pin S.
        query = query.contiguous().view(batch, heads // groups, groups * length, dim)
    if softcap is None:
        out = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scaling)
    else:
        weights = torch.matmul(query, key.transpose(2, 3)) * scaling
        weights = torch.tanh(weights / softcap) * softcap + mask
        weights = torch.softmax(weights, dim=-1, dtype=torch.float32).to(query.dtype)
        out = torch.matmul(weights, value)
    if groups == 1:
        return out.transpose(1, 2).contiguous(), None
    out = out.unflatten(2, (groups, length)).permute(0, 3, 1, 2, 4).contiguous()
    return out.view(batch, length, heads, value.shape[3]), None


ALL_ATTENTION_FUNCTIONS.register(ATTENTION, _attention)


_MOVING = ("dynamic", "longrope")  # frequencies that are others for longer texts


def _moving_from(config) -> dict[str, int]:
    """The kinds of rotary embedding of a configuration whose frequencies change, for one or for each type of
    layer, and the longest text for which they do not."""
    parameters = getattr(config, "rope_parameters", None) or {}
    each = [parameters, *(value for value in parameters.values() if isinstance(value, dict))]
    positions = getattr(config, "max_position_embeddings", None) or 0
    return {value["rope_type"]: positions if value["rope_type"] == "dynamic" else
            value.get("original_max_position_embeddings") or getattr(config, "original_max_position_embeddings", None) or positions
            for value in each if value.get("rope_type") in _MOVING}


@contextlib.contextmanager
def _fixed_frequencies(model):
    """Keeps rotary embeddings from looking at the length of the text: a program is no longer than what
    require_supported lets pass, so the frequencies are those of short texts."""
    before = [(module, module.rope_type) for module in model.modules() if hasattr(module, "rope_type")]

    def fixed(kind):
        if isinstance(kind, dict):
            return {layers: fixed(value) for layers, value in kind.items()}
        return "default" if kind in _MOVING else kind

    for module, kind in before:
        module.rope_type = fixed(kind)
    try:
        yield
    finally:
        for module, kind in before:
            module.rope_type = kind


def require_supported(config, max_batch: int, max_length: int):
    """Raises for what can be known from the configuration to go wrong."""
    if max_batch < 1:
        raise ExportError(f"the largest batch must be at least 1, not {max_batch}")
    if max_length < 2:
        raise ExportError(f"the greatest length must be at least 2, not {max_length}")
    limit = getattr(config, "max_position_embeddings", None)
    if limit is not None and max_length > limit:
        raise ExportError(f"the model has {limit} positions; a length of {max_length} does not fit")
    if config.is_encoder_decoder or getattr(config, "add_cross_attention", False):
        raise UnsupportedModel("the model has an encoder; only decoders are exported")
    if getattr(config, "use_bidirectional_attention", False):
        raise UnsupportedModel("the model attends to later tokens; only causal models are exported")
    for kind, longest in sorted(_moving_from(config).items()):
        if max_length > longest:
            raise UnsupportedModel(f"rotary embeddings of type '{kind}' change with the length of a text from {longest} tokens "
                                   f"on, and keys in a cache would have to change with them; export it with --max-length {longest}")
    for layer, kind in enumerate(getattr(config, "layer_types", None) or []):
        if kind not in ("full_attention", "sliding_attention"):
            raise UnsupportedModel(f"layer {layer} is of type '{kind}'; only full and sliding attention keep a KV cache")


class Program(torch.nn.Module):
    """The module to export. Its children are the model's own, so that the names of weights and the
    module stack of the graph (model.layers.0.mlp, …) are those of the Hugging Face model.

    own_attention  by weir::cached_attention, where its kernels have heads of that width; models in f32 only
    """

    def __init__(self, model, max_batch: int, max_length: int, own_attention: bool = False):
        super().__init__()
        for name, child in model.named_children():
            self.add_module(name, child)
        # Outside the module tree: a second path to the same weights would rename them.
        object.__setattr__(self, "hugging_face", model)
        require_supported(model.config, max_batch, max_length)
        try:
            model.set_attn_implementation(ATTENTION)
        except ValueError as error:
            raise UnsupportedModel(f"the attention of {type(model).__name__} cannot be replaced: {first_line(error)}") from error
        # transformers' own choice calls an operator of its own, which only Python has.
        if getattr(model, "_can_set_experts_implementation", bool)():
            model.set_experts_implementation("batched_mm")
        # `rows` and `length` are what the graph has room for, the others what is promised.
        self.max_batch, self.max_length = max_batch, max_length
        self.rows = 1 if max_batch == 1 else max(max_batch, LEAST_ROOM)
        self.length = max(max_length, LEAST_ROOM)
        self.shapes = self._probe(own_attention)
        self.kv_cache = KVCache(self.shapes, self.rows, self.length, model.dtype)
        self.eval()

    @torch.no_grad()
    def _probe(self, own_attention: bool) -> dict[int, LayerShape]:
        """What each layer keeps, by running the model once on two tokens."""
        probe = _Probe(own_attention)
        try:
            with _activate(probe=probe):
                self._logits(torch.zeros(1, 2, dtype=torch.long), torch.tensor([[0, 1]]), probe)
        except UnsupportedModel:
            raise
        except Exception as error:  # modelling code can raise anything
            raise UnsupportedModel(f"{type(self.hugging_face).__name__} does not run with an explicit KV cache: "
                                   f"{first_line(error)}") from error
        config = self.hugging_face.config
        missing = set(range(config.num_hidden_layers)) - set(probe.shapes)
        if missing:
            layer = min(missing)
            why = (f"; {type(self.hugging_face).__name__} computes attention by itself, not through transformers' attention "
                   "interface, so its cache cannot become a part of the program") if layer in probe.seen else ""
            raise UnsupportedModel(f"layer {layer} has no attention that keeps keys and values{why}")
        kinds = getattr(config, "layer_types", None)
        for layer, shape in probe.shapes.items():
            if kinds and (shape.window is not None) != (kinds[layer] == "sliding_attention"):
                raise UnsupportedModel(f"layer {layer} is of type '{kinds[layer]}' but attends with window {shape.window}")
        return probe.shapes

    def _logits(self, input_ids, positions, cache):
        # forward itself, not the model's __call__: the model is not part of the module tree.
        with _fixed_frequencies(self.hugging_face):
            return self.hugging_face.forward(input_ids=input_ids, position_ids=positions, past_key_values=cache,
                                             use_cache=True).logits

    def _mask(self, visible: torch.Tensor, window: int | None, groups: int) -> torch.Tensor:
        """Additive mask [b, 1, groups * S, max] of the model's dtype, 0 where a slot is seen.

        visible [b, S]: the last slot a token sees.
        """
        slots = torch.arange(self.length)
        last = visible.unsqueeze(-1)
        seen = slots <= last
        if window is not None:
            seen = seen & (slots > last - window)
        dtype = self.hugging_face.dtype
        mask = torch.where(seen, torch.zeros((), dtype=dtype), torch.full((), float("-inf"), dtype=dtype))
        mask = mask.unsqueeze(1)
        if groups == 1:
            return mask
        batch, length = visible.shape
        mask = mask.unsqueeze(2).expand(batch, 1, groups, length, self.length)
        return mask.contiguous().view(batch, 1, groups * length, self.length)

    def forward(self, input_ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """input_ids [b, S] int64, positions [b, S] int64 -> logits [b, S, V] float32."""
        # A padding token is computed as if it stood at position 0: it has a slot to see, so nothing
        # is NaN, and a learned position embedding has a row for it.
        visible = positions.clamp(min=0)
        masks, built = {}, {}
        for shape in self.shapes.values():
            if shape.own:
                continue
            # A window that covers the cache hides nothing.
            window = shape.window if shape.window is not None and shape.window < self.length else None
            if (window, shape.groups) not in built:
                built[window, shape.groups] = self._mask(visible, window, shape.groups)
            masks[shape.window, shape.groups] = built[window, shape.groups]
        with _activate(_Running(self.shapes, masks, visible)):
            logits = self._logits(input_ids, visible, _Pass(self.kv_cache, self.shapes, self.length, positions))
        return logits.float()
