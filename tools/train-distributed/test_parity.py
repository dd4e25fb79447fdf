"""PyTorch computes what antiphon-train computes: classes, logits, loss, gradients, and steps of the optimiser.

The other side is written by antiphon-train's example `parity`; the environment variable PARITY names its file. DEVICE may
name a GPU, as in `DEVICE=cuda PARITY=parity.safetensors python -m unittest test_parity`.
Tolerances are relative to the largest number of a part unless stated.
"""

import json
import os
import unittest

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from data import class_of
from model import ATTRIBUTES, TO_TORCH, Batch, NoteModel, Sizes, losses, reordered, take, to_file
from train import Config, set_precision

LOGITS = 1e-4  # absolute
LOSS = 3e-6  # relative; the other side adds up in 32 bits
GRADIENT = {"cpu": 1e-5, "cuda": 1e-4}  # a GPU takes sums in another order
STEP = 2e-6  # absolute, on weights of about 1, from the same gradients: a step moves them by 4e-3
OWN_STEPS = 1e-3  # of the way that all weights went, with gradients of our own
DEVICE = torch.device(os.environ.get("DEVICE", "cpu"))


def difference(ours: Tensor, theirs: Tensor) -> float:
    return ((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-12)).item()


class Parity(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        with safe_open(os.environ["PARITY"], framework="pt") as file:
            cls.theirs = {name: file.get_tensor(name) for name in file.keys()}
            cls.settings = json.loads(file.metadata()["antiphon"])
        part = {name: cls.theirs[f"batch.{name}"] for name in ("last", "next", "style", "reset", "counted")}
        cls.batch = Batch(**part | {"reset": part["reset"].bool(), "counted": part["counted"].bool()}).to(DEVICE)
        cls.state = cls.theirs["h"].to(DEVICE), cls.theirs["c"].to(DEVICE)
        set_precision("f32")

    def group(self, prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): part for name, part in self.theirs.items() if name.startswith(prefix)}

    def model(self, step: int) -> NoteModel:
        about = self.settings
        sizes = Sizes(about["layers"], about["hidden"], about["head"], about["styles"], tuple(about["classes"]))
        model = NoteModel(sizes).to(DEVICE)
        take(model, self.group(f"weights.{step}."))
        return model

    def optimizer(self, model: NoteModel) -> torch.optim.AdamW:
        parameters = list(model.named_for_file().values())
        betas = (Config.beta1, Config.beta2)
        return torch.optim.AdamW(parameters, self.settings["rate"], betas, Config.epsilon, Config.weight_decay)

    def backward(self, model: NoteModel) -> float:
        logits, _ = model(self.batch, self.state)
        loss = losses(logits, self.batch).sum() * self.settings["scale"]
        model.zero_grad()
        loss.backward()
        return loss.item()

    def test_a_file_is_taken_and_given_back_unchanged(self) -> None:
        given = to_file(self.model(0).named_for_file())
        taken = self.group("weights.0.")
        self.assertEqual(given.keys(), taken.keys())
        for name, part in taken.items():
            self.assertTrue(torch.equal(given[name], part), name)

    def test_times_fall_into_the_same_classes(self) -> None:
        times = self.theirs["times_us"].numpy()
        for name in ("shift", "duration"):
            ours = class_of(times, np.array(self.settings[f"{name}_cells"]), 10_000)
            np.testing.assert_array_equal(ours, self.theirs[f"{name}_of_times"].numpy())

    def test_logits(self) -> None:
        with torch.no_grad():
            logits, _ = self.model(0)(self.batch, self.state)
        worst = max((ours.cpu() - self.theirs[f"logits.{name}"]).abs().max().item() for name, ours in zip(ATTRIBUTES, logits))
        print(f"logits: largest difference {worst:.1e}, {LOGITS:.0e} allowed")
        self.assertLess(worst, LOGITS)

    def test_loss_and_gradients(self) -> None:
        worst_loss = worst = 0.0
        for step in range(1, self.settings["steps"] + 1):
            model = self.model(step - 1)
            theirs = self.theirs[f"loss.{step}"].item()
            worst_loss = max(worst_loss, abs(self.backward(model) - theirs) / theirs)
            ours = to_file({name: parameter.grad for name, parameter in model.named_for_file().items()})
            for name, gradient in self.group(f"gradients.{step}.").items():
                self.assertGreater(gradient.abs().max(), 0, f"{name} learns nothing")
                worst = max(worst, difference(ours[name], gradient))
        print(f"loss: largest difference {worst_loss:.1e}, {LOSS:.0e} allowed")
        allowed = GRADIENT[DEVICE.type]
        print(f"gradients: largest difference {worst:.1e} of a part's largest, {allowed:.0e} allowed")
        self.assertLess(worst_loss, LOSS)
        self.assertLess(worst, allowed)

    def test_steps_of_the_optimiser_from_the_same_gradients(self) -> None:
        model = self.model(0)
        optimizer, worst = self.optimizer(model), 0.0
        for step in range(1, self.settings["steps"] + 1):
            gradients = self.group(f"gradients.{step}.")
            for name, parameter in model.named_for_file().items():
                parameter.grad = reordered(name, gradients[name], TO_TORCH).clone().to(DEVICE)
            norm = torch.nn.utils.clip_grad_norm_(list(model.named_for_file().values()), Config.clip)
            self.assertGreater(norm, 1.0, "the batch is meant to be clipped")
            optimizer.step()
            ours, theirs = to_file(model.named_for_file()), self.group(f"weights.{step}.")
            worst = max(worst, *((ours[name] - theirs[name]).abs().max().item() for name in theirs))
        print(f"optimiser: largest difference of a weight {worst:.1e} after {step} steps, {STEP:.0e} allowed")
        self.assertLess(worst, STEP)

    def test_steps_from_our_own_gradients(self) -> None:
        model = self.model(0)
        optimizer = self.optimizer(model)
        for step in range(1, self.settings["steps"] + 1):
            loss = self.backward(model)
            torch.nn.utils.clip_grad_norm_(list(model.named_for_file().values()), Config.clip)
            optimizer.step()
            theirs = self.theirs[f"loss.{step}"].item()
            self.assertLess(abs(loss - theirs) / theirs, 1e-5, f"loss of step {step}")
        flat = [
            torch.cat([part.flatten() for _, part in sorted(parts.items())])
            for parts in (to_file(model.named_for_file()), self.group(f"weights.{step}."), self.group("weights.0."))
        ]
        apart = ((flat[0] - flat[1]).norm() / (flat[1] - flat[2]).norm()).item()
        print(f"own steps: after {step}, apart by {apart:.1e} of the way gone, {OWN_STEPS:.0e} allowed")
        self.assertLess(apart, OWN_STEPS)


if __name__ == "__main__":
    unittest.main()
