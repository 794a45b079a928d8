"""A Llama-type model with random bf16 weights and a static cache, in plain torch."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class Shape:
    vocab: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    eps: float
    theta: float


class Random:
    """Seeded normal weights: a product has about the variance of its input."""

    def __init__(self, seed):
        self.generator = torch.Generator(device="cuda").manual_seed(seed)

    def matrix(self, rows, columns):
        values = torch.randn(
            rows, columns, device="cuda", dtype=torch.bfloat16, generator=self.generator
        )
        return values.mul_(1 / math.sqrt(columns))

    def bias(self, size):
        return self.matrix(1, size).view(size)


def ones(size):
    return torch.ones(size, device="cuda", dtype=torch.bfloat16)


def zeros(size):
    return torch.zeros(size, device="cuda", dtype=torch.bfloat16)


class LayerWeights:
    """Matrices of one input are joined: one product in place of two or three."""

    def __init__(self, shape, random):
        attention = shape.heads * shape.head_dim
        cached = shape.kv_heads * shape.head_dim
        self.tensors = (
            ones(shape.hidden),
            random.matrix(attention + 2 * cached, shape.hidden),
            random.matrix(shape.hidden, attention),
            ones(shape.hidden),
            random.matrix(2 * shape.intermediate, shape.hidden),
            random.matrix(shape.hidden, shape.intermediate),
        )


def rms_norm(x, weight, eps):
    wide = x.float()
    return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)).to(x.dtype) * weight


def rotate(x, cos, sin):
    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-right, left), dim=-1) * sin


def layer_forward(x, weights, keys, values, cos, sin, slots, mask, shape):
    """x [rows, hidden]; keys and values [1, kv_heads, capacity, head_dim], written at slots [rows];
    mask [1, 1, rows, capacity]."""
    norm_1, qkv, out, norm_2, gate_up, down = weights
    rows = x.shape[0]
    attention, cached = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    q, k, v = F.linear(rms_norm(x, norm_1, shape.eps), qkv).split(
        (attention, cached, cached), dim=-1
    )

    def by_head(y):
        return y.view(1, rows, -1, shape.head_dim).transpose(1, 2)

    q, k, v = rotate(by_head(q), cos, sin), rotate(by_head(k), cos, sin), by_head(v)
    keys.index_copy_(2, slots, k)
    values.index_copy_(2, slots, v)
    group = shape.heads // shape.kv_heads
    all_keys = keys if group == 1 else keys.repeat_interleave(group, dim=1)
    all_values = values if group == 1 else values.repeat_interleave(group, dim=1)
    y = F.scaled_dot_product_attention(q, all_keys, all_values, attn_mask=mask)
    x = x + F.linear(y.transpose(1, 2).reshape(rows, attention), out)
    gate, up = F.linear(rms_norm(x, norm_2, shape.eps), gate_up).chunk(2, dim=-1)
    return x + F.linear(F.silu(gate) * up, down)


class Model:
    def __init__(self, shape, random):
        self.shape = shape
        self.embedding = random.matrix(shape.vocab, shape.hidden).mul_(math.sqrt(shape.hidden))
        self.layers = [LayerWeights(shape, random).tensors for _ in range(shape.layers)]
        self.norm = ones(shape.hidden)
        self.lm_head = random.matrix(shape.vocab, shape.hidden)

    def tables(self, capacity):
        """cos and sin [capacity, head_dim] of the rotary embedding."""
        half = torch.arange(0, self.shape.head_dim, 2, device="cuda").float()
        frequencies = self.shape.theta ** (-half / self.shape.head_dim)
        angles = torch.outer(torch.arange(capacity, device="cuda").float(), frequencies)
        angles = torch.cat((angles, angles), dim=-1)
        return angles.cos().to(torch.bfloat16), angles.sin().to(torch.bfloat16)

    def forward(self, tokens, positions, slots, mask, text, layer=layer_forward):
        """The normed hidden states of tokens [rows]."""
        x = self.embedding[tokens]
        cos, sin = text.cos[positions], text.sin[positions]
        for weights, (keys, values) in zip(self.layers, text.caches):
            x = layer(x, weights, keys, values, cos, sin, slots, mask, self.shape)
        return rms_norm(x, self.norm, self.shape.eps)

    def logits(self, hidden):
        return F.linear(hidden, self.lm_head)


class Text:
    """What is known of one text: caches and the next token. All of it stays on the device."""

    def __init__(self, model, context, room):
        shape = model.shape
        self.context = context
        # Masks whose rows are not aligned need slower kernels.
        self.capacity = (context + room + 63) // 64 * 64
        self.cos, self.sin = model.tables(self.capacity)
        self.caches = self.new_caches(shape)
        self.slots = torch.arange(self.capacity, device="cuda")
        self.length = torch.zeros(1, device="cuda", dtype=torch.long)
        self.root = torch.zeros(1, device="cuda", dtype=torch.long)

    def new_caches(self, shape):
        size = (1, shape.kv_heads, self.capacity, shape.head_dim)
        return [(zeros(size), zeros(size)) for _ in range(shape.layers)]

    def prefill(self, model, prompt, absorb=None, rows=256):
        """Takes the prompt in; absorb sees the hidden states and the positions of every piece."""
        for first in range(0, self.context, rows):
            positions = self.slots[first : min(first + rows, self.context)]
            mask = (self.slots.view(1, -1) <= positions.view(-1, 1))[None, None]
            hidden = model.forward(prompt[positions], positions, positions, mask, self)
            if absorb is not None:
                absorb(hidden, positions, mask)
        self.first_root = model.logits(hidden[-1:]).argmax(-1)
        self.reset()

    def reset(self):
        self.length.fill_(self.context)
        self.root.copy_(self.first_root)


def random_prompt(shape, context):
    generator = torch.Generator(device="cuda").manual_seed(context)
    return torch.randint(shape.vocab, (context,), device="cuda", generator=generator)
