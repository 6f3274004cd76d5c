"""What a program is: types, operations, equations, and how they are traced, printed and run."""
