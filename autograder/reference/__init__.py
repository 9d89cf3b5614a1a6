"""The right answers, in NumPy, one module a chapter, one function an exercise."""
