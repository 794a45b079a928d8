"""Plain decoding: an eager loop, the same loop as a CUDA graph, and compiled as a CUDA graph."""

import torch

from measure import capture, greedy_tokens, time_steps
from model import Text, layer_forward, random_prompt


def plain_step(model, text, layer=layer_forward):
    mask = (text.slots <= text.length).view(1, 1, 1, -1)
    hidden = model.forward(text.root, text.length, text.length, mask, text, layer)
    text.root.copy_(model.logits(hidden).argmax(-1))
    text.length.add_(1)


def compiled_layer():
    """As gpt-fast compiles: one row is no matrix product but a reduction, tuned by trying."""
    import triton  # noqa: F401  Without it there is no inductor, and this says so.
    import torch._inductor.config as inductor

    inductor.coordinate_descent_tuning = True
    return torch.compile(layer_forward, fullgraph=True, dynamic=False)


def run(model, settings, report):
    texts = []
    for context in settings["contexts"]:
        text = Text(model, context, settings["steps"] + 64)
        text.prefill(model, random_prompt(model.shape, context))
        texts.append(text)

    for text in texts:

        def eager():
            plain_step(model, text)

        report.add(
            f"eager at {text.context}",
            "torch, eager loop with a static cache",
            lambda: (time_steps(eager, text, settings), greedy_tokens(eager, text, settings)),
        )

    def graphed(name, how, make_layer):
        try:
            layer = make_layer()
        except Exception as error:  # noqa: BLE001  Whatever it is, the others go on.
            for text in texts:
                report.skip(f"{name} at {text.context}", f"{type(error).__name__}: {error}")
            return
        for text in texts:

            def measured(text=text):
                replay = capture(lambda: plain_step(model, text, layer), text)
                return time_steps(replay, text, settings), greedy_tokens(replay, text, settings)

            report.add(f"{name} at {text.context}", how, measured)

    graphed("CUDA graph", "torch, the eager step as one CUDA graph", lambda: layer_forward)
    graphed(
        "compiled CUDA graph",
        "torch, layers compiled by inductor, the step as one CUDA graph",
        compiled_layer,
    )
