"""PyTorch, by `torch.func`, with NumPy's names for its functions."""

from __future__ import annotations

from chainrule.lab.right_derivatives.libraries import Library, Nothing


def library() -> Library:
    """PyTorch's own functions under the names that NumPy gives them."""
    import torch

    from chainrule.lab.right_derivatives.libraries.torch_names import TorchNumpy
    from chainrule.lab.right_derivatives.libraries.torch_random import TorchRandom

    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    func = torch.func

    def value_and_grad(f, argnums):
        def both(*args):
            gradient, value = func.grad_and_value(f, argnums)(*args)
            return value, gradient

        return both

    def expectation(f, arguments, seed):
        """The gradient of a mean of 60 samples, drawn one after the other."""
        rng = TorchRandom(seed)

        values = [torch.as_tensor(v).clone().requires_grad_() for v in arguments]
        draws = [torch.as_tensor(f(*values, rng=rng)) * 1.0 for _ in range(60)]
        mean = torch.mean(torch.stack(draws))
        if not mean.requires_grad:
            return [torch.zeros_like(v) for v in values]
        found = torch.autograd.grad(mean, values, allow_unused=True)
        return [torch.zeros_like(v) if g is None else g for v, g in zip(values, found, strict=True)]

    return Library(
        name="torch",
        version=torch.__version__,
        namespaces={"np": TorchNumpy(), "special": torch.special, "control": Nothing()},
        array=torch.as_tensor,
        plain=lambda x: torch.as_tensor(x).detach().numpy(),
        grad=func.grad,
        value_and_grad=value_and_grad,
        hessian=func.hessian,
        jacobian=func.jacrev,
        jvp=lambda f, x, dx: func.jvp(f, (x,), (dx,))[1],
        vjp=lambda f, x, ct: func.vjp(f, x)[1](ct)[0],
        hvp=lambda f, x, dx: func.jvp(func.grad(f), (x,), (dx,))[1],
        vmap=func.vmap,
        expectation=expectation,
    )
