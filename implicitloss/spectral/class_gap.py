"""The gap between two classes, measured on samples left out, with their names and a sentence on each part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from implicitloss.arguments import shown
from implicitloss.formats import plain
from implicitloss.spectral.left_out import LeaveOneOut
from implicitloss.spectral.offsets import Gap, gap

__all__ = ["ClassGap", "class_gap"]

# Parts that are smaller are printed as 0.
SEEN = 0.005
# Scores of a class that vary less are one score and its rounding; those of targets 0 and 1 are near 1.
SMALLEST = 1e-30


@dataclass(frozen=True)
class ClassGap(Gap):
    """The gap between two classes of samples, as `il.diagnose(...).gap` measures it.

    Parameters
    ----------
    train, overfit, label, scale : float
        The parts of z_1 - z_2, as in `Gap`.
    z : tuple of two
        By how many standard deviations the mean of each class is on its own side of the boundary.
    names : tuple of two
        The classes.
    mistaken : tuple of two
        The share of each class's samples, left out, that is on the other's side.
    spreads : tuple of two
        √q_1 and √q_2, the standard deviations of the score in the two classes.

    Examples
    --------
    >>> import numpy as np
    >>> import implicitloss as il
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["flat", "steep"], 200)
    >>> scale = np.arange(1, 121) ** np.where(y == "flat", -0.1, -0.4)[:, None]
    >>> X = rng.standard_normal((400, 120)) * scale / np.linalg.norm(scale, axis=1, keepdims=True)
    >>> X[y == "flat"] += 0.02
    >>> print(il.diagnose(X, y).gap("flat", "steep"))
    flat against steep: errors 12.5% and 11.0%; z 0.99 and 1.26, a gap of -0.28
      train +0.00: in training the boundary lies midway between the two.
      overfit -0.06: from training to new samples the scores of flat move further to the other's side.
      label +0.00: no margins shift the boundary.
      scale -0.22: the scores of flat have a standard deviation of 0.490, those of steep of 0.403.
    """

    names: tuple[str, str]
    mistaken: tuple[float, float]
    spreads: tuple[float, float]

    @property
    def sentences(self) -> tuple[str, str, str, str]:
        """A sentence on each part, in the order train, overfit, label, scale."""
        (first, second), (one, other) = map(plain, self.names), self.spreads
        shifts = abs(self.label) >= SEEN
        label = f"margins favour {self._favoured(self.label)[0]}" if shifts else "no margins shift the boundary"
        return (
            f"train {self.train:+.2f}: in training the boundary lies {self._place()}.",
            f"overfit {self.overfit:+.2f}: from training to new samples the scores of {self._moved()} to the other's "
            "side.",
            f"label {self.label:+.2f}: {label}.",
            f"scale {self.scale:+.2f}: the scores of {first} have a standard deviation of {one:#.3g}, those of "
            f"{second} of {other:#.3g}.",
        )

    def _favoured(self, part: float) -> tuple[str, str]:
        """The class that a part favours, and the other."""
        first, second = map(plain, self.names)
        return (first, second) if part > 0 else (second, first)

    def _place(self) -> str:
        favoured, other = self._favoured(self.train)
        return f"nearer to {other} than to {favoured}" if abs(self.train) >= SEEN else "midway between the two"

    def _moved(self) -> str:
        _, other = self._favoured(self.overfit)
        return f"{other} move further" if abs(self.overfit) >= SEEN else "both move alike"

    def __str__(self) -> str:
        (first, second), (one, other) = map(plain, self.names), self.mistaken
        head = (
            f"{first} against {second}: errors {one:.1%} and {other:.1%}; z {self.z[0]:.2f} and {self.z[1]:.2f}, a gap "
            f"of {self.total:+.2f}"
        )
        return "\n".join([head, *(f"  {sentence}" for sentence in self.sentences)])


def class_gap(found: LeaveOneOut, a: int, b: int, names: tuple[str, str], shift: float) -> ClassGap:
    """The gap between the classes a and b, by the scores f_a - f_b + `shift`."""
    left_out, fitted = (scores[:, a] - scores[:, b] for scores in (found.scores, found.fitted))
    first, second = (found.codes == k for k in (a, b))
    parts = [left_out[first], left_out[second]]
    variance = [float(part.var()) for part in parts]
    means = [float(part.mean()) for part in parts]
    if means[0] <= means[1] or min(variance) < SMALLEST:
        each = (
            f"{shown(name):.40} has mean {m:.3g}, variance {q:.3g}"
            for name, m, q in zip(names, means, variance, strict=True)
        )
        raise ValueError(
            "a gap must be between classes that scores tell apart, each with a variance, but of samples left out "
            f"{' and '.join(each)}: there is no gap to split"
        )
    of = gap(means, variance, [fitted[first].mean(), fitted[second].mean()], shift)
    mistaken = float(np.mean(parts[0] + shift <= 0)), float(np.mean(parts[1] + shift >= 0))
    spreads = float(np.sqrt(variance[0])), float(np.sqrt(variance[1]))
    return ClassGap(of.train, of.overfit, of.label, of.scale, of.z, names, mistaken, spreads)
