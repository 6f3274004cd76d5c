"""Verdicts: an answer beside the truth is right, wrong or nan; an error is a refusal."""

from __future__ import annotations

import numpy as np

from chainrule.lab.right_derivatives.case import Case

ERRORS = 4.5  # standard errors that a mean may be off
VERDICTS = ("right", "wrong", "nan", "refused", "absent")


def verdict(case: Case, answers, truths) -> str:
    """The verdict on all points of a case; the worst of them counts.

    `answers` holds for each point a list of arrays, or the text of an error; None for the whole
    case says that the library has no such function.
    """
    if answers is None:
        return "absent"
    found = [_point_verdict(case, a, t) for a, t in zip(answers, truths, strict=True)]
    return next((v for v in ("wrong", "nan", "refused") if v in found), "right")


def _point_verdict(case: Case, answer, truth) -> str:
    if isinstance(answer, str):
        return "refused"
    if case.ask == "expectation":
        return _mean_verdict(answer, truth)
    if case.members is not None:
        vector = np.concatenate([np.ravel(np.asarray(part, dtype=float)) for part in answer])
        if np.any(np.isnan(vector)):
            return "nan"
        inside = np.all(np.isfinite(vector)) and case.members.contains(vector)
        return "right" if inside else "wrong"
    parts = [_part_verdict(case, a, t) for a, t in zip(answer, truth, strict=True)]
    return next((v for v in ("wrong", "nan") if v in parts), "right")


def _mean_verdict(answer, truth) -> str:
    """An estimate, with its standard error, beside an expectation's derivative.

    Right is within ERRORS standard errors, where these are small enough to tell anything.
    """
    half = len(answer) // 2
    found = np.concatenate([np.ravel(np.asarray(part, dtype=float)) for part in answer[:half]])
    errors = np.concatenate([np.ravel(np.asarray(part, dtype=float)) for part in answer[half:]])
    true = np.concatenate([np.ravel(part) for part in truth])
    if np.any(np.isnan(found)):
        return "nan"
    telling = errors <= 0.2 * np.max(np.abs(true)) + 0.02
    near = np.abs(found - true) <= ERRORS * errors + 1e-9 * np.abs(true) + 1e-12
    return "right" if np.all(telling & near) else "wrong"


def _part_verdict(case: Case, answer, truth) -> str:
    answer, truth = np.asarray(answer, dtype=float), np.asarray(truth, dtype=float)
    if answer.shape != truth.shape:
        return "wrong"
    lost = np.isnan(answer) & ~np.isnan(truth)
    if np.any(lost):
        return "nan"
    return "right" if np.all(close(case, answer, truth)) else "wrong"


def close(case: Case, answer: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Which entries are right.

    Relative to the entry, with room for rounding of an exact zero among others: 1e-13 of the
    largest entry. Below the smallest normal number everything is 0.
    """
    largest = np.max(np.abs(truth), initial=0.0, where=np.isfinite(truth))
    room = case.relative * np.abs(truth) + case.absolute + 3e-308
    if truth.size > 1:
        room = room + 1e-13 * largest
    with np.errstate(invalid="ignore"):
        return (answer == truth) | (np.abs(answer - truth) <= room) | np.isnan(truth)
