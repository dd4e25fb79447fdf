"""The note model of antiphon-train, in PyTorch: the same formulas, and files with the same names and order of gates.

    last note's classes --five embeddings, joined--> x                             (time, batch, 160)
    x --LSTM x layers--> h_top                                                      (time, batch, hidden)
    context = h_top @ context.w + context.b                                         (time, batch, 4 x head)
    for each attribute a in the order shift, key, duration, velocity:
      u_a      = tanh(context[a] + sum over b before a of head.a.from_b[next_b])    (time, batch, head)
      logits_a = u_a @ head.a.w + head.a.b                                          (time, batch, classes of a)

A file has the gates of an LSTM in ONNX's order i, o, f, c; `nn.LSTM` wants i, f, g, o (g is c), so rows are put in
order on the way in and out. `nn.LSTM` has two biases; the second stays zero and is not trained.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ATTRIBUTES = ("shift", "key", "duration", "velocity")
EMBEDDINGS = {"shift": 32, "key": 64, "duration": 32, "velocity": 16, "style": 16}
INPUT = sum(EMBEDDINGS.values())

# Which quarter of the rows there each quarter here is.
TO_TORCH = (0, 2, 3, 1)  # i, f, g, o from i, o, f, c
TO_FILE = (0, 3, 1, 2)  # i, o, f, c from i, f, g, o


@dataclass(frozen=True)
class Sizes:
    """What the shapes follow from."""

    layers: int
    hidden: int
    head: int
    styles: int
    classes: tuple[int, ...]  # of shift, key, duration, velocity


@dataclass
class Batch:
    """A sequence of notes from each of several streams."""

    last: Tensor  # (4, time, batch) classes of the last note; the class count where there is none yet
    next: Tensor  # (4, time, batch) classes of the note to predict
    style: Tensor  # (time, batch)
    reset: Tensor  # (time, batch) whether a piece begins: the state is zero before this step
    counted: Tensor  # (4, time, batch) whether the attribute counts for the loss

    cuts: list[int] = field(default_factory=list)  # where time is cut, so that no piece begins within a part

    def __post_init__(self) -> None:
        if not self.cuts:  # looked up once, on the processor: asking a GPU would wait for it
            self.cuts = [0, *(self.reset[1:].any(dim=1).nonzero().flatten() + 1).tolist(), len(self.reset)]

    def to(self, device: torch.device) -> "Batch":
        *tensors, cuts = vars(self).values()
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in tensors), cuts)

    @classmethod
    def beside(cls, batches: "Iterable[Batch]") -> "Batch":
        """One batch with the streams of all."""
        *tensors, _ = zip(*(vars(batch).values() for batch in batches))
        return cls(*(torch.cat(parts, dim=-1) for parts in tensors))


State = tuple[Tensor, Tensor]  # h and c, each (layers, batch, hidden)


def uniform(*shape: int, limit: float) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape).uniform_(-limit, limit))


def fan(inputs: int) -> float:
    """Limit of a uniform draw with deviation 1 / sqrt(inputs)."""
    return (3.0 / inputs) ** 0.5


class NoteModel(nn.Module):
    """First weights are drawn by the same law as antiphon-train's, from PyTorch's own generator."""

    GAIN = 3.0  # what an LSTM layer gives is about a third: enlarged, so that the layers above hear it at first

    def __init__(self, sizes: Sizes, dropout: float = 0.0) -> None:
        super().__init__()
        self.sizes, self.dropout = sizes, dropout
        hidden, head, classes = sizes.hidden, sizes.head, sizes.classes
        # A note's embeddings have one row more than classes, for "no note yet".
        rows = [count + 1 for count in classes] + [sizes.styles]
        self.embedding = nn.ParameterDict(
            {name: uniform(count, width, limit=fan(1)) for (name, width), count in zip(EMBEDDINGS.items(), rows)}
        )
        self.lstm = nn.ModuleList(nn.LSTM(INPUT if n == 0 else hidden, hidden) for n in range(sizes.layers))
        for n, lstm in enumerate(self.lstm):
            nn.init.uniform_(lstm.weight_ih_l0, -(limit := fan(lstm.input_size) * (self.GAIN if n else 1)), limit)
            nn.init.uniform_(lstm.weight_hh_l0, -fan(hidden), fan(hidden))
            nn.init.zeros_(lstm.bias_ih_l0)
            nn.init.zeros_(lstm.bias_hh_l0).requires_grad_(False)
            with torch.no_grad():
                lstm.bias_ih_l0[hidden : 2 * hidden] = 1.0  # forget gates begin open (Jozefowicz et al. 2015)
        self.context_w = uniform(hidden, 4 * head, limit=self.GAIN * fan(hidden))
        self.context_b = nn.Parameter(torch.zeros(4 * head))
        self.head = nn.ModuleDict()
        for a, name in enumerate(ATTRIBUTES):
            parts = {f"from_{ATTRIBUTES[b]}": uniform(classes[b], head, limit=0.5) for b in range(a)}
            parts["w"] = uniform(head, classes[a], limit=0.2 * fan(head))
            parts["b"] = nn.Parameter(torch.zeros(classes[a]))
            self.head[name] = nn.ParameterDict(parts)

    def start(self, batch: int, device: torch.device) -> State:
        """The state in which a piece begins."""
        zeros = torch.zeros(self.sizes.layers, batch, self.sizes.hidden, device=device)
        return zeros, zeros.clone()

    def forward(self, batch: Batch, state: State) -> tuple[list[Tensor], State]:
        """Logits, (time, batch, classes) for each attribute, and the state to go on with."""
        index = zip(EMBEDDINGS, [*batch.last, batch.style])
        x = torch.cat([F.embedding(classes, self.embedding[name]) for name, classes in index], dim=-1)
        out, h_next, c_next = x, [], []  # out: (time, batch, 160), then (time, batch, hidden)
        for n, lstm in enumerate(self.lstm):
            y, h, c = through(lstm, out, state[0][n], state[1][n], batch.reset, batch.cuts)
            h_next.append(h)
            c_next.append(c)
            out = self.after_layer(n, out, y)
        context = out @ self.context_w + self.context_b  # (time, batch, 4 x head)
        logits = []
        for a, (name, part) in enumerate(zip(ATTRIBUTES, context.chunk(4, dim=-1))):
            head = self.head[name]
            for b in range(a):
                part = part + F.embedding(batch.next[b], head[f"from_{ATTRIBUTES[b]}"])
            logits.append(torch.tanh(part) @ head["w"] + head["b"])
        return logits, (torch.stack(h_next), torch.stack(c_next))

    def after_layer(self, n: int, before: Tensor, out: Tensor) -> Tensor:
        """What goes on from layer n, which made `out` of `before`."""
        return F.dropout(out, self.dropout, self.training)

    def named_for_file(self) -> dict[str, Tensor]:
        """The parameters, and only they, under the names of the file; still in PyTorch's order of gates."""
        named = {f"embedding.{name}": table for name, table in self.embedding.items()}
        for n, lstm in enumerate(self.lstm):
            named |= {
                f"lstm.{n}.w": lstm.weight_ih_l0,
                f"lstm.{n}.r": lstm.weight_hh_l0,
                f"lstm.{n}.b": lstm.bias_ih_l0,
            }
        named |= {"context.w": self.context_w, "context.b": self.context_b}
        for name, head in self.head.items():
            named |= {f"head.{name}.{part}": values for part, values in head.items()}
        return named


def through(
    lstm: nn.LSTM, x: Tensor, h: Tensor, c: Tensor, reset: Tensor, cuts: list[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """One layer over x (time, batch, inputs) from h, c (batch, hidden), which begin anew where `reset` says.

    cuDNN knows no resets: the sequence is cut before each. The data loader begins pieces at the start of a sequence
    only, so that there is one cut, and one call.
    """
    out = []
    for begin, end in zip(cuts, cuts[1:]):
        keep = (~reset[begin]).unsqueeze(1)  # (batch, 1)
        y, (h, c) = lstm(x[begin:end], ((h * keep)[None], (c * keep)[None]))
        h, c = h[0], c[0]
        out.append(y)
    return torch.cat(out), h, c


def losses(logits: list[Tensor], batch: Batch) -> Tensor:
    """Negative log-likelihood in nats, (4, time, batch); zero where the attribute does not count."""
    each = [F.cross_entropy(l.flatten(0, 1), n.flatten(), reduction="none") for l, n in zip(logits, batch.next)]
    return torch.stack(each).view(batch.next.shape) * batch.counted


def reordered(name: str, values: Tensor, order: tuple[int, ...]) -> Tensor:
    """Puts the gates of an LSTM's weights (4 x hidden, ...) in order; other parts stay as they are."""
    if not name.startswith("lstm."):
        return values
    return torch.cat([values.chunk(4)[quarter] for quarter in order])


def to_file(named: dict[str, Tensor]) -> dict[str, Tensor]:
    """Parameters, or their gradients, as a file has them."""
    return {name: reordered(name, values.detach(), TO_FILE).cpu().contiguous() for name, values in named.items()}


@torch.no_grad()
def take(model: NoteModel, tensors: dict[str, Tensor]) -> None:
    """Sets all parameters from a file's tensors."""
    for name, parameter in model.named_for_file().items():
        if name not in tensors or tensors[name].shape != parameter.shape:
            raise SystemExit(f"the weights have no {name} of shape {tuple(parameter.shape)}: other sizes or styles?")
        parameter.copy_(reordered(name, tensors[name], TO_TORCH))
