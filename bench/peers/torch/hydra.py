"""A Hydra++ step over a tree, greedy, as the reference implementation computes it, but for its Python
loops over nodes: what they choose is a table here."""

import torch
import torch.nn.functional as F

from measure import capture, greedy_tokens, time_steps
from model import LayerWeights, Text, layer_forward, ones, random_prompt, rms_norm, zeros


class Heads:
    """Four heads: a first block of growing width, one block that is applied three times, a
    vocabulary with bias; and a decoder layer over the committed tokens."""

    def __init__(self, shape, random, depth):
        size = shape.hidden
        self.first = [
            (
                random.matrix(size, (d + 2) * size),
                random.bias(size),
                random.matrix(size, (d + 2) * size),
                random.bias(size),
            )
            for d in range(depth)
        ]
        self.block = [(random.matrix(size, size), random.bias(size)) for _ in range(depth)]
        self.lm_head = [
            (random.matrix(shape.vocab, size), random.bias(shape.vocab)) for _ in range(depth)
        ]
        self.layer = LayerWeights(shape, random).tensors
        self.norm = ones(size)

    def logits(self, d, rows):
        weight, bias, residual, residual_bias = self.first[d]
        y = F.silu(F.linear(rows, weight, bias)) + F.linear(rows, residual, residual_bias)
        for _ in range(3):
            y = y + F.silu(F.linear(y, *self.block[d]))
        return F.linear(y, *self.lm_head[d])


class Tree:
    """Tables of a tree whose nodes come depth by depth, the root first."""

    def __init__(self, parents, ranks):
        def tensor(values, dtype=torch.long):
            return torch.tensor(values, device="cuda", dtype=dtype)

        size = len(parents)
        paths = [[0]]
        for node in range(1, size):
            paths.append(paths[parents[node]] + [node])
        depths = [len(path) - 1 for path in paths]
        self.size, self.depth = size, max(depths)
        self.depths, self.parents = tensor(depths), tensor([max(parent, 0) for parent in parents])
        self.mask = tensor(
            [[other in path for other in range(size)] for path in paths], torch.bool
        )
        self.paths = tensor([path + [path[-1]] * (self.depth + 1 - len(path)) for path in paths])
        self.steps = tensor(list(range(self.depth + 1)))
        self.nodes = tensor(list(range(size)))
        # Of every depth: the parent's row among those drafted from, the rank, and which go on.
        self.levels = []
        rows = {0: 0}
        for d in range(1, self.depth + 1):
            level = [node for node in range(size) if depths[node] == d]
            going_on = [i for i, node in enumerate(level) if node in parents]
            self.levels.append(
                (
                    tensor([rows[parents[node]] for node in level]),
                    tensor([ranks[node] for node in level]),
                    tensor(going_on),
                    1 + max(ranks[node] for node in level),
                )
            )
            rows = {level[i]: row for row, i in enumerate(going_on)}


class HydraText(Text):
    def __init__(self, model, heads, context, room):
        super().__init__(model, context, room)
        shape = model.shape
        size = (1, shape.kv_heads, self.capacity, shape.head_dim)
        self.draft_cache = [zeros(size), zeros(size)]
        self.prefix = zeros((1, shape.hidden))
        self.committed = torch.zeros(1, device="cuda", dtype=torch.long)
        self.model, self.heads = model, heads

    def new_caches(self, shape):
        """One tensor for all layers, so that an accepted path is moved by one operation."""
        size = (2 * shape.layers, 1, shape.kv_heads, self.capacity, shape.head_dim)
        self.cache = zeros(size)
        return [(self.cache[2 * i], self.cache[2 * i + 1]) for i in range(shape.layers)]

    def absorb(self, hidden, positions, mask):
        """The heads' own layer over committed tokens."""
        y = layer_forward(
            hidden,
            self.heads.layer,
            *self.draft_cache,
            self.cos[positions],
            self.sin[positions],
            positions,
            mask,
            self.model.shape,
        )
        self.absorbed = rms_norm(y, self.heads.norm, self.model.shape.eps)
        return self.absorbed

    def reset(self):
        super().reset()
        if not hasattr(self, "first_prefix"):
            self.first_prefix = self.absorbed[-1:].clone()
        self.prefix.copy_(self.first_prefix)


def hydra_step(model, heads, tree, text):
    """Draft, verify, accept, commit. Leaves the committed tokens in text.path, text.committed of them
    counting."""
    # Draft: every depth's rows are those before with the embedding of a token behind.
    tokens = [text.root]
    rows = torch.cat((text.prefix, model.embedding[text.root]), dim=-1)
    for d, (parent_rows, ranks, going_on, count) in enumerate(tree.levels):
        best = heads.logits(d, rows).topk(count, dim=-1).indices
        level = best[parent_rows, ranks]
        tokens.append(level)
        if d + 1 < tree.depth:
            chosen = level[going_on]
            rows = torch.cat((rows[parent_rows[going_on]], model.embedding[chosen]), dim=-1)
    tokens = torch.cat(tokens)

    # Verify.
    slots = text.length + tree.nodes
    mask = (text.slots < text.length).expand(tree.size, -1).index_copy(1, slots, tree.mask)
    hidden = model.forward(tokens, text.length + tree.depths, slots, mask[None, None], text)
    best = model.logits(hidden).argmax(-1)

    # Accept: the deepest node whose whole path is what the model says.
    matches = tokens == best[tree.parents]
    matches[0] = True
    is_accepted = ~(tree.mask & ~matches).any(dim=-1)
    node = torch.where(is_accepted, tree.depths, -1).argmax().view(1)
    path = tree.paths[node].view(-1)

    # Commit: rows of the path move together; those behind its end are not read again.
    following = text.length + tree.steps
    text.cache.index_copy_(3, following, text.cache.index_select(3, text.length + path))
    causal = (text.slots.view(1, -1) <= following.view(-1, 1))[None, None]
    absorbed = text.absorb(hidden[path], following, causal)
    text.prefix.copy_(absorbed[tree.depths[node]])
    text.path = tokens[path]
    text.root.copy_(best[node])
    text.committed.copy_(tree.depths[node] + 1)
    text.length.add_(text.committed)


def run(model, random, settings, report):
    tree = Tree(settings["parents"], settings["ranks"])
    heads = Heads(model.shape, random, tree.depth)
    for context in settings["contexts"]:
        room = (settings["steps"] + 8) * (tree.depth + 1) + tree.size
        text = HydraText(model, heads, context, room)
        text.prefill(model, random_prompt(model.shape, context), text.absorb)

        def eager():
            hydra_step(model, heads, tree, text)

        report.add(
            f"eager at {context}",
            "torch, eager step",
            lambda: (time_steps(eager, text, settings), greedy_tokens(eager, text, settings)),
        )

        def graphed():
            replay = capture(eager, text)
            return time_steps(replay, text, settings), greedy_tokens(replay, text, settings)

        report.add(f"CUDA graph at {context}", "torch, the eager step as one CUDA graph", graphed)
        del text
