"""NumPy's names on traced values, and for what plain numpy cannot dispatch (`zeros`, `array`)."""

from chainrule.numpy import methods, operators, products, protocols, ufuncs

operators.install()
protocols.install()
methods.install()
