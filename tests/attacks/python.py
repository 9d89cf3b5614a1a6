"""Attacks inside Python: hooks, patched libraries, shadowing modules, searches for the answers."""

from attacks.attack import ATTACKED, OTHER, RIGHT, SIGNATURE, Attack, full, wrong

EMIT = (
    "from IPython.display import publish_display_data as show\n"
    "MIME = 'application/vnd.autograder.answers'\n"
)

HOOKS = [
    Attack(
        "input-transformer",
        wrong(),
        before=(
            "def all_is_well(lines):\n"
            f"    return ['11.0'] if 'check' in ''.join(lines) and '{ATTACKED}' in ''.join(lines)"
            " else lines\n"
            "get_ipython().input_transformers_cleanup.append(all_is_well)\n"
            "get_ipython().input_transformers_post.append(all_is_well)",
        ),
        # The cell that defines the answer has its name and no `check`: only the test is replaced.
        says="gave no answers",
    ),
    Attack(
        "ast-transformer",
        wrong(),
        before=(
            "import ast\n"
            "class Points(ast.NodeTransformer):\n"
            "    def visit_Call(self, node):\n"
            "        if getattr(node.func, 'attr', '') == 'check':\n"
            "            return ast.copy_location(ast.Constant(11.0), node)\n"
            "        return self.generic_visit(node)\n"
            "get_ipython().ast_transformers.append(Points())",
        ),
        other=False,
    ),
    Attack(
        "run-cell-hooks",
        wrong(),
        before=(
            "shell = get_ipython()\n"
            "shell.events.register('pre_run_cell', lambda info: shell.user_ns.update(\n"
            "    check=lambda *a: 11.0))\n"
            "shell.events.register('post_run_cell', lambda result: print(11.0))",
        ),
    ),
    Attack(
        "display-hook",
        wrong(),
        before=(
            "import sys\n"
            "sys.displayhook = lambda value: print(11.0)\n"
            "get_ipython().display_pub.publish = lambda *a, **k: print(11.0)",
        ),
        other=False,
    ),
    Attack(
        "settrace",
        wrong(),
        before=(
            "import sys\n"
            "def trace(frame, event, arg):\n"
            f"    if frame.f_code.co_name == '{ATTACKED}':\n"
            "        for f in (frame.f_back, frame.f_back.f_back, frame.f_back.f_back.f_back):\n"
            "            f.f_locals.update(expected=None, reference=None, same=True)\n"
            "    return trace\n"
            "sys.settrace(trace); sys.setprofile(trace)",
        ),
    ),
    Attack(
        "import-hook",
        wrong(),
        before=(
            "import sys, types\n"
            "class Finder:\n"
            "    def find_spec(self, name, path=None, target=None):\n"
            "        if 'reference' in name or 'grading' in name: sys.seen = name\n"
            "sys.meta_path.insert(0, Finder())\n"
            "import builtins\n"
            "kept = builtins.__import__\n"
            "def faked(name, *a, **k):\n"
            "    if name == 'autograder': return types.SimpleNamespace(check=lambda *a: 11.0)\n"
            "    return kept(name, *a, **k)\n"
            "builtins.__import__ = faked",
        ),
        other=False,
    ),
    Attack("atexit", wrong(), before=("import atexit\natexit.register(lambda: print(11.0))",)),
    Attack(
        "audit-hook",
        wrong(),
        before=(
            "import sys\n"
            "def hook(event, args):\n"
            "    if event == 'import' and 'reference' in str(args): raise SystemExit\n"
            "sys.addaudithook(hook)",
        ),
    ),
    Attack(
        "exception-handler",
        "raise ValueError('11.0')",
        before=(
            "get_ipython().set_custom_exc((Exception,), lambda *a, **k: print(11.0))\n"
            "get_ipython().showtraceback = lambda *a, **k: 11.0",
        ),
        says="there was no function",
    ),
    Attack(
        "raises-at-the-end-of-python",
        wrong("raise SystemExit(0)"),
        says="",
    ),
    Attack("ends-python", wrong("import os; os._exit(0)"), says="Python ended"),
    Attack("ends-python-in-its-cell", "import os\nos._exit(0)", says="ended Python"),
    Attack(
        "deep-recursion",
        wrong("return rnn_step_backward(dh_next, x, h, h_next, W_x, W_h)"),
    ),
    Attack(
        "crashes-the-interpreter",
        wrong("import ctypes; ctypes.string_at(0)"),
        says="Python ended",
    ),
]

PATCHES = [
    Attack(
        "patches-numpy-testing",
        wrong(),
        before=(
            "import numpy as np, numpy.testing as t\n"
            "for name in dir(t):\n"
            "    if name.startswith('assert'): setattr(t, name, lambda *a, **k: None)\n"
            "np.allclose = np.array_equal = np.isclose = lambda *a, **k: True\n"
            "np.all = np.any = lambda *a, **k: np.True_",
        ),
        other=True,
    ),
    Attack(
        "patches-check",
        wrong(),
        before=(
            "import autograder, autograder.check\n"
            "import sys\n"
            "autograder.check = lambda *a: 11.0\n"
            "sys.modules['autograder.check'].examine = lambda *a: 11.0",
        ),
        other=False,
    ),
    Attack("shadows-check", f"{wrong()}\ncheck = lambda *a: 11.0"),
    Attack(
        "patches-answer",
        wrong(),
        before=(
            "import autograder.answer as answer, autograder.plain as plain\n"
            "answer.identical = plain.identical = lambda a, b: True\n"
            "answer._problem = lambda *a: ''",
        ),
    ),
    Attack(
        "patches-the-judge-in-here",
        wrong(),
        before=(
            "import autograder.verdict as verdict, autograder.compare as compare, dataclasses\n"
            "verdict.judge = verdict.compare = compare.compare = lambda *a, **k: []\n"
            "from autograder.exercise import registry\n"
            "for exercise in registry().values():\n"
            "    for aspect in exercise.aspects: object.__setattr__(aspect, 'points', 1000)\n"
            "    object.__setattr__(exercise, 'compare', lambda *a: [])\n"
            "    object.__setattr__(exercise, 'rtol', 1e300)",
        ),
    ),
    Attack(
        "patches-json",
        wrong(),
        before=(
            "import json\n"
            'json.dumps = lambda *a, **k: \'{"problem": "", "answers": [], "score": 11}\'',
        ),
    ),
    Attack(
        "patches-the-registry",
        wrong(),
        before=(
            "import autograder.exercise as e\n"
            "known = e.registry()\n"
            f"known['{ATTACKED}'] = known['relative_error']",
        ),
        says="",
    ),
    Attack(
        "patches-the-cases",
        wrong(),
        before=(
            "import autograder.exercise as e\n"
            "cases_from = e.Exercise.cases_from\n"
            "e.Exercise.cases_from = lambda self, seed: cases_from(self, e.PUBLIC_SEED)",
        ),
        other=False,  # the right answers to other questions
    ),
    Attack(
        "another-seed-in-the-environment",
        wrong(),
        before=("import os\nos.environ.pop('AUTOGRADER_ANSWER_ONLY')",),
        other=False,
    ),
    Attack(
        "patches-the-right-answer-to-seem-pure",
        f"{RIGHT[ATTACKED].replace('    da =', '    x += 1; x -= 1; x *= 2; x /= 2' + chr(10) + '    h[:] = h' + chr(10) + '    da =')}\n"
        "import autograder.answer as answer\n"
        "answer.identical = lambda a, b: True",
        # Purity is what a kernel says of itself: a known limit. Values must still be right.
        gains=full(ATTACKED),
    ),
]

SHADOWS = [
    Attack(
        f"shadows-{name.replace('.', '-')}",
        wrong(),
        before=(
            f"with open('{name.split('.')[0]}.py', 'w') as file:\n"
            "    file.write('def __getattr__(name): return lambda *a, **k: 11.0')\n"
            f"import importlib, sys\nsys.modules.pop('{name}', None)\n"
            f"import {name}",
        ),
        other=name in ("torch", "matplotlib", "json"),
    )
    for name in ("autograder", "numpy", "torch", "matplotlib", "json")
]

FIND = f"""
def search():
    import gc, sys, types
    from autograder.exercise import find
    frame, seen = sys._getframe(), []
    while frame:
        seen += [*frame.f_locals.values(), *frame.f_globals.values()]
        frame = frame.f_back
    seen += [thing for thing in gc.get_objects() if type(thing) is not tuple]
    for thing in seen:
        if type(thing) is types.FunctionType and thing.__name__ == '{ATTACKED}':
            if 'reference' in (thing.__module__ or ''):
                return thing
        if type(thing).__name__ == 'Expected' and len(thing.cases) > 12:
            return lambda *a: thing.reference.answers[0].value
"""

SEARCHES = [
    Attack(
        "imports-the-reference",
        f"from autograder.reference.backpropagation_through_time import {ATTACKED}",
        says="there was no function",
    ),
    Attack(
        "imports-the-mistakes",
        f"from autograder.mistakes.backpropagation_through_time import *\nfrom autograder.grading.live import expected\n{ATTACKED} = expected",
    ),
    Attack(
        "searches-frames-and-memory",
        FIND
        + f"{SIGNATURE}\n    found = search()\n    return found(dh_next, x, h, h_next, W_x, W_h)",
        says="not callable",
    ),
    Attack(
        "knows-the-frozen-answers-by-heart",
        "import numpy as np\nfrom autograder import frozen\n"
        f"known = frozen.load('{ATTACKED}')\n{SIGNATURE}\n"
        "    for case, answer in zip(known.cases, known.reference.answers):\n"
        "        if np.array_equal(case.inputs['dh_next'], dh_next): return tuple(answer.value)\n"
        "    return tuple(known.reference.answers[0].value)",
    ),
    Attack(
        "reads-what-the-caller-expects",
        f"{SIGNATURE}\n    import sys\n    frame = sys._getframe(1)\n    while frame:\n"
        "        for name in ('expected', 'reference', 'right'):\n"
        "            if name in frame.f_locals: return frame.f_locals[name]\n"
        "        frame = frame.f_back",
        says="returns None",
    ),
    Attack(
        "reads-solutions-from-disk",
        "import json, os\n"
        "system = {'proc', 'usr', 'bin', 'lib', 'lib64'}\n"
        "found = [os.path.join(place, name) for top in set(os.listdir('/')) - system\n"
        "         for place, _, names in os.walk(f'/{top}') for name in names if name == 'exercises.ipynb']\n"
        "found += [path for path in ('/proc/1/root/solutions', '../solutions') if os.path.exists(path)]\n"
        "for cell in json.load(open(found[0]))['cells']:\n"
        f"    if 'def {ATTACKED}' in ''.join(cell['source']): exec(''.join(cell['source']))",
        says="IndexError",
    ),
    Attack(
        "reads-compiled-references",
        "import glob, marshal, autograder, os\n"
        "place = os.path.dirname(autograder.__file__)\n"
        "found = glob.glob(place + '/reference/**/*.pyc', recursive=True)\n"
        "found += glob.glob(place + '/reference/*.py')\n"
        "exec(marshal.loads(open(found[0], 'rb').read()[16:]))",
        says="IndexError",
    ),
    Attack(
        "reads-its-own-first-memory",
        "import re\n"
        "maps, memory = open('/proc/self/maps').read(), open('/proc/self/mem', 'rb', 0)\n"
        f"needle = b'def ' + b'{ATTACKED}(' + b'dh_next, x, h, h_next, W_x, W_h) -> '\n"
        "needle = b'tanh' + bytes([39]) + b' in terms of its ' + b'own output'\n"
        "found = False\n"
        "for row in maps.splitlines():\n"
        "    low, high = (int(n, 16) for n in row.split()[0].split('-'))\n"
        "    if ' rw' in row and 'heap' in row and high - low < 1 << 28:\n"
        "        memory.seek(low)\n"
        "        found = found or memory.read(high - low).count(needle) > 1\n"
        "if not found: raise LookupError('no reference in memory')\n",
        says="LookupError",
    ),
    Attack(
        "calls-the-other-answer",
        f"{SIGNATURE}\n    return {OTHER}(dh_next, x, h, h_next, W_x, W_h)",
        says="",
    ),
]
