"""scipy.fft on traced values: a backend of SciPy's own dispatch (uarray), active while tracing.

SciPy asks the backends that are set before it computes: this one takes calls on a traced value, and
leaves all others to SciPy. It is set only where scipy.fft has been imported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from chainrule import errors
from chainrule.numpy import fourier
from chainrule.numpy.cosine_transforms import transform
from chainrule.numpy.fourier import signal
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, user_line

TRANSFORMS: dict[str, Callable] = {}  # by the name in scipy.fft


def _one_axis(function: Callable) -> Callable:
    def along(x, n=None, axis=-1, norm=None, overwrite_x=False, workers=None, *, plan=None):
        return function(x, n, axis, norm)

    return along


def _several_axes(function: Callable, default) -> Callable:
    def over(x, s=None, axes=default, norm=None, overwrite_x=False, workers=None, *, plan=None):
        return function(x, s, axes, norm)

    return over


for _name in ("fft", "rfft", "hfft"):
    TRANSFORMS[_name] = _one_axis(getattr(fourier, _name))
    TRANSFORMS[f"i{_name}"] = _one_axis(getattr(fourier, f"i{_name}"))
for _name in ("fft2", "ifft2", "rfft2", "irfft2"):
    TRANSFORMS[_name] = _several_axes(getattr(fourier, _name), (-2, -1))
for _name in ("fftn", "ifftn", "rfftn", "irfftn"):
    TRANSFORMS[_name] = _several_axes(getattr(fourier, _name), None)


def _real_transform(kind: str, inverse: bool) -> Callable:
    def along(
        x, type=2, n=None, axis=-1, norm=None, overwrite_x=False, workers=None, orthogonalize=None
    ):
        return transform(signal(x), kind, type, n, axis, norm, orthogonalize, inverse)

    return along


def _real_transforms(kind: str, inverse: bool) -> Callable:
    def over(
        x, type=2, s=None, axes=None, norm=None, overwrite_x=False, workers=None, *,
        orthogonalize=None,
    ):  # fmt: skip
        x = signal(x)
        if axes is None:
            axes = range(-(x.ndim if s is None else len(s)), 0)
        lengths = [None] * len(axes) if s is None else s
        for n, axis in zip(lengths, axes, strict=True):
            x = transform(x, kind, type, n, axis, norm, orthogonalize, inverse)
        return x

    return over


for _letter, _kind in (("c", "cosine"), ("s", "sine")):
    for _prefix in ("", "i"):
        TRANSFORMS[f"{_prefix}d{_letter}t"] = _real_transform(_kind, bool(_prefix))
        TRANSFORMS[f"{_prefix}d{_letter}tn"] = _real_transforms(_kind, bool(_prefix))


class Backend:
    """What uarray asks: the domain, and a function for each call."""

    __ua_domain__ = "numpy.scipy.fft"

    @staticmethod
    def __ua_function__(method, args, kwargs):
        x = args[0] if args else kwargs.get("x")
        if type(x) is not Traced:
            return NotImplemented
        found = TRANSFORMS.get(method.__name__)
        if found is None:
            raise errors.NotSupported(
                f"scipy.fft.{method.__name__} is not supported on traced values, "
                f"at {line_text(user_line())}: write it with other transforms."
            )
        return found(*args, **kwargs)


def traced_backend() -> AbstractContextManager:
    """While active, scipy.fft's functions accept traced values in this thread."""
    module = sys.modules.get("scipy.fft")
    if module is None or not hasattr(module, "set_backend"):
        return nullcontext()
    return module.set_backend(Backend)
