"""The fusion ``r = α·r_dnn + (1 − α)·r_transformer``, with α in [0, 1] learned on validation.

Both scores are first calibrated to log-odds (``scale·s + offset``, Platt 1999), so that they have
the same unit. α minimizes the logistic loss of r on validation candidates. r is linear in α, so the
loss is convex in α: the root of its gradient, found by bisection on [0, 1], is the best α there is,
and where the gradient does not change its sign the best α is a border. If one model is noise, its
calibration is flat and the other one's is already optimal, so α goes to that border.

What is counted (``models.retrieval.counted``) is added on top with a weight of its own where a
list holds something that its user bought before: both rankers learn how much a habit weighs from
past weeks, and when the season turns they are wrong together.
"""

# N validation candidates, B requests, C candidates

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from domain.files import write_json

Floats = npt.NDArray[np.float64]
Scores = npt.NDArray[np.floating]

NEWTON_STEPS: Final = 50
BISECTIONS: Final = 50


@dataclass(frozen=True)
class Calibration:
    """``scale·s + offset``: the log-odds that a candidate is wanted. ``scale >= 0``."""

    scale: float
    offset: float

    def __call__(self, scores: Scores) -> Floats:
        """Log-odds, in the shape of ``scores``."""
        return self.scale * scores.astype(np.float64) + self.offset


def calibrate(scores_N: Scores, labels_N: npt.NDArray[np.bool_]) -> Calibration:
    """Fit a calibration by maximum likelihood; the order of scores never turns around.

    Args:
        scores_N: A model's scores on validation candidates.
        labels_N: Which of them were wanted.

    Raises:
        ValueError: If all or none were wanted: there is nothing to calibrate on.
    """
    wanted_N = labels_N.astype(np.float64)
    base = float(wanted_N.mean())
    if not 0.0 < base < 1.0:
        raise ValueError(f"calibration needs both outcomes, got a wanted share of {base}")
    scores = scores_N.astype(np.float64)
    flat = Calibration(0.0, float(np.log(base / (1.0 - base))))
    deviation = float(scores.std())
    if deviation < 1e-12:
        return flat
    mean = float(scores.mean())
    slope, intercept = _logistic_fit((scores - mean) / deviation, wanted_N, start=flat.offset)
    if slope <= 0.0:
        return flat
    return Calibration(slope / deviation, intercept - slope * mean / deviation)


def _logistic_fit(x_N: Floats, wanted_N: Floats, *, start: float) -> tuple[float, float]:
    """Newton's method for two parameters; a tiny ridge on the slope bears separable data."""
    design_N2 = np.stack([x_N, np.ones_like(x_N)], axis=1)
    ridge_2 = np.array([1e-6, 0.0])
    theta_2 = np.array([0.0, start])
    loss = _penalized_loss(design_N2, wanted_N, theta_2, ridge_2)
    for _ in range(NEWTON_STEPS):
        probability_N = _sigmoid(design_N2 @ theta_2)
        gradient_2 = design_N2.T @ (probability_N - wanted_N) / len(x_N) + ridge_2 * theta_2
        curvature_N = probability_N * (1.0 - probability_N)
        hessian_22 = (design_N2 * curvature_N[:, None]).T @ design_N2 / len(x_N)
        step_2 = np.linalg.solve(hessian_22 + np.diag(ridge_2 + 1e-12), gradient_2)
        size = 1.0
        # Far from the optimum a whole Newton step may overshoot: halve it until it helps.
        while size > 1e-6:
            moved_2 = theta_2 - size * step_2
            moved_loss = _penalized_loss(design_N2, wanted_N, moved_2, ridge_2)
            if moved_loss <= loss:
                break
            size /= 2.0
        else:
            break
        is_done = loss - moved_loss < 1e-14
        theta_2, loss = moved_2, moved_loss
        if is_done:
            break
    return float(theta_2[0]), float(theta_2[1])


def _penalized_loss(design_N2: Floats, wanted_N: Floats, theta_2: Floats, ridge_2: Floats) -> float:
    return _logistic_loss(design_N2 @ theta_2, wanted_N) + float(0.5 * ridge_2 @ theta_2**2)


def _sigmoid(x: Floats) -> Floats:
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def _logistic_loss(logits_N: Floats, wanted_N: Floats) -> float:
    return float(np.mean(np.logaddexp(0.0, logits_N) - wanted_N * logits_N))


def alpha_loss(
    alpha: float, dnn_N: Floats, transformer_N: Floats, labels_N: npt.NDArray[np.bool_]
) -> tuple[float, float]:
    """The logistic loss of the fused log-odds at ``alpha``, and its derivative there.

    Args:
        alpha: The DNN's share.
        dnn_N: Calibrated scores.
        transformer_N: Calibrated scores of the same candidates.
        labels_N: Which of them were wanted.
    """
    wanted_N = labels_N.astype(np.float64)
    logits_N = alpha * dnn_N + (1.0 - alpha) * transformer_N
    gradient = np.mean((_sigmoid(logits_N) - wanted_N) * (dnn_N - transformer_N))
    return _logistic_loss(logits_N, wanted_N), float(gradient)


def learn_alpha(dnn_N: Floats, transformer_N: Floats, labels_N: npt.NDArray[np.bool_]) -> float:
    """The α in [0, 1] with the least loss; exact up to 2⁻⁵⁰, since the loss is convex."""
    low, high = 0.0, 1.0
    if alpha_loss(low, dnn_N, transformer_N, labels_N)[1] >= 0.0:
        return low
    if alpha_loss(high, dnn_N, transformer_N, labels_N)[1] <= 0.0:
        return high
    for _ in range(BISECTIONS):
        middle = (low + high) / 2.0
        if alpha_loss(middle, dnn_N, transformer_N, labels_N)[1] < 0.0:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


@dataclass(frozen=True)
class Fusion:
    """Two calibrations, α, and the weight of what is counted."""

    dnn: Calibration
    transformer: Calibration
    alpha: float
    counted_weight: float = 0.0

    @classmethod
    def fit(cls, dnn_N: Scores, transformer_N: Scores, labels_N: npt.NDArray[np.bool_]) -> "Fusion":
        """Learn both calibrations and α on validation candidates; what is counted weighs nothing.

        Raises:
            ValueError: If all or none of them were wanted.
        """
        dnn, transformer = calibrate(dnn_N, labels_N), calibrate(transformer_N, labels_N)
        alpha = learn_alpha(dnn(dnn_N), transformer(transformer_N), labels_N)
        return cls(dnn, transformer, alpha)

    def __call__(
        self, dnn_BC: Scores, transformer_BC: Scores, counted_BC: Scores | None = None
    ) -> npt.NDArray[np.float32]:
        """The fused log-odds of raw scores.

        Args:
            dnn_BC: The feature network's.
            transformer_BC: The ranking transformer's.
            counted_BC: ``models.ranking.features.counted_of`` of the candidates; None is 0.
        """
        fused = self.alpha * self.dnn(dnn_BC) + (1.0 - self.alpha) * self.transformer(
            transformer_BC
        )
        if counted_BC is not None:
            fused = fused + self.counted_weight * counted_BC
        return np.asarray(fused, dtype=np.float32)

    @property
    def dnn_slope(self) -> float:
        """What one unit of the DNN's raw score adds to the fused log-odds."""
        return self.alpha * self.dnn.scale

    @property
    def transformer_slope(self) -> float:
        """What one unit of the transformer's raw score adds to the fused log-odds."""
        return (1.0 - self.alpha) * self.transformer.scale

    def save(self, path: Path) -> None:
        """Write ``fusion.json``."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> "Fusion":
        """Read what ``save`` wrote."""
        content = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            Calibration(**content["dnn"]),
            Calibration(**content["transformer"]),
            float(content["alpha"]),
            float(content.get("counted_weight", 0.0)),
        )
