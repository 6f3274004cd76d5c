"""Native code for programs: simplify, fuse, plan buffers, emit LLVM IR, compile."""
