"""Settings as typed: `--key=value` on top of the defaults, or of a checkpoint's."""

from typing import Any, Self, TypeVar, get_type_hints

# What decides the course of a run: it cannot change on the way.
FIXED = ("layers", "hidden", "head", "sequence", "weights", "vary", "tell_style", "seed")
PRECISIONS = ("f32", "tf32", "bf16")


class Settings:
    """A class whose annotated attributes are settings; instances hold all of them."""

    def __init__(self, **values: Any) -> None:
        for name in get_type_hints(type(self)):
            setattr(self, name, values.get(name, getattr(type(self), name)))

    def shares(self) -> dict[str, float]:
        """`chorale=0.6,folk=0.1` as numbers."""
        parts = [part.split("=") for part in self.weights.split(",") if part]
        try:
            shares = {style: float(share) for style, share in parts}
        except ValueError:
            raise SystemExit(f"--weights={self.weights} is not STYLE=SHARE,...") from None
        if any(share < 0 for share in shares.values()) or sum(shares.values()) > 1.000001:
            raise SystemExit("--weights: shares must be 0 or more and add up to 1 at most")
        return shares

    def check(self) -> Self:
        for name in ("layers", "hidden", "head", "sequence", "batch", "steps", "look_every", "log_every"):
            if getattr(self, name) < 1:
                raise SystemExit(f"--{name} must be at least 1")
        if not 0 < self.rate <= 1 or not 0 <= self.dropout <= 0.9:
            raise SystemExit("--rate must be above 0 and at most 1, --dropout 0 to 0.9")
        if not 0 <= self.average < 1:
            raise SystemExit("--average must be 0 or more and below 1")
        if self.precision not in PRECISIONS:
            raise SystemExit(f"--precision is one of {', '.join(PRECISIONS)}, not {self.precision}")
        return self


Kind = TypeVar("Kind", bound=Settings)


def parse(kind: type[Kind], arguments: list[str], before: dict[str, Any] | None = None) -> Kind:
    """The settings that the arguments mean, on top of `before`."""
    values, kinds = dict(before or {}), get_type_hints(kind)
    for argument in arguments:
        name, has_value, text = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or name not in kinds:
            raise SystemExit(f"{argument} is no setting; --key=value, where key is one of {', '.join(kinds)}")
        value = converted(kinds[name], name, text if has_value else "true")
        if before and name in FIXED and value != before[name]:
            raise SystemExit(f"--{name} cannot change with --resume; it was {before[name]}")
        values[name] = value
    return kind(**values).check()


def converted(kind: type, name: str, text: str) -> Any:
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise SystemExit(f"--{name} is true or false, not {text!r}")
        return text.lower() == "true"
    try:
        return kind(text)
    except ValueError:
        raise SystemExit(f"--{name} is a number, not {text!r}") from None
