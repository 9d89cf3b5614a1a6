"""The instructor's side: live references, the judge, nbgrader's preprocessors, a sample class."""
