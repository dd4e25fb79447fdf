"""Networks that were tried beside the note model and not taken: for `compare.py` alone."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model import EMBEDDINGS, Batch, NoteModel, Sizes, State, fan, through, uniform


class NormModel(NoteModel):
    """The note model with a layer norm (Ba et al. 2016) after each LSTM layer."""

    def __init__(self, sizes: Sizes, dropout: float = 0.0) -> None:
        super().__init__(sizes, dropout)
        self.norm = nn.ModuleList(nn.LayerNorm(sizes.hidden) for _ in range(sizes.layers))

    def after_layer(self, n: int, before: Tensor, out: Tensor) -> Tensor:
        return super().after_layer(n, before, self.norm[n](out))


class SkipModel(NoteModel):
    """The note model with a connection past each LSTM layer but the first."""

    def after_layer(self, n: int, before: Tensor, out: Tensor) -> Tensor:
        return super().after_layer(n, before, out + before if n else out)


class AttributeModel(nn.Module):
    """One step is one attribute: the LSTM takes four times as many steps and is told the attribute before.

    Nothing but its state connects the attributes of a note. A layer of `head` units and tanh stands before the logits,
    as in the note model, of which it otherwise has the sizes.
    """

    def __init__(self, sizes: Sizes, dropout: float = 0.0) -> None:
        super().__init__()
        self.sizes, self.dropout = sizes, dropout
        width = sum(EMBEDDINGS.values()) - EMBEDDINGS["style"]
        self.told = nn.ParameterList(uniform(count + 1, width, limit=fan(1)) for count in sizes.classes)
        self.style = uniform(sizes.styles, EMBEDDINGS["style"], limit=fan(1))
        self.lstm = nn.ModuleList(
            nn.LSTM(width + EMBEDDINGS["style"] if n == 0 else sizes.hidden, sizes.hidden) for n in range(sizes.layers)
        )
        self.context = nn.ModuleList(nn.Linear(sizes.hidden, sizes.head) for _ in sizes.classes)
        self.out = nn.ModuleList(nn.Linear(sizes.head, count) for count in sizes.classes)

    def start(self, batch: int, device: torch.device) -> State:
        zeros = torch.zeros(self.sizes.layers, batch, self.sizes.hidden, device=device)
        return zeros, zeros.clone()

    def forward(self, batch: Batch, state: State) -> tuple[list[Tensor], State]:
        time, width = batch.style.shape
        # Step 4 t + a predicts attribute a of note t.
        before = [(3, batch.last[3]), (0, batch.next[0]), (1, batch.next[1]), (2, batch.next[2])]
        told = torch.stack([F.embedding(classes, self.told[a]) for a, classes in before], dim=1)
        style = F.embedding(batch.style, self.style).unsqueeze(1).expand(-1, 4, -1, -1)
        out = torch.cat([told, style], dim=-1).flatten(0, 1)  # (4 x time, batch, inputs)
        reset = torch.zeros(4 * time, width, dtype=torch.bool, device=out.device)
        reset[::4] = batch.reset
        h_next, c_next = [], []
        for n, lstm in enumerate(self.lstm):
            out, h, c = through(lstm, out, state[0][n], state[1][n], reset, [4 * cut for cut in batch.cuts])
            h_next.append(h)
            c_next.append(c)
            out = F.dropout(out, self.dropout, self.training)
        steps = out.view(time, 4, width, -1).unbind(1)
        logits = [last(torch.tanh(first(step))) for first, last, step in zip(self.context, self.out, steps)]
        return logits, (torch.stack(h_next), torch.stack(c_next))
