"""LLVM IR as text: what each kernel of a compiled program becomes."""
