"""What takes longer than a reading may: training runs whose results the readings plot.

A module here is one experiment. Its name is that of its results, `chapters/lab/results/NAME.json`,
which a reading gets by `lab.results.load(NAME)`. `python -m experiments` computes them anew. It has

- a docstring, whose first line is the question that it answers;
- `SETTINGS`, a dict of what was chosen, as JSON knows it: seeds, steps, sizes;
- `REDUCED`, a dict of the entries that are different in a run of seconds, by which a test sees that
  the code still does what it did;
- `runs(settings)`, which returns the independent runs: dicts, as JSON knows them;
- `run(settings, **one)`, which does one of them and returns what was found, as JSON knows it;
- and, where some of that is seconds or bytes of a machine, `MEASURED`, the names of these entries.

A run seeds all that it draws from, and its steps are counted: the same machine finds the same.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "chapters"))  # the readings' own `lab`
