"""What is asked: one module a chapter, each with its list `EXERCISES`."""
