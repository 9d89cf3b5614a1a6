"""Attacks on what goes to the judge: lying values, forged answers and messages, pickles."""

from attacks.attack import ATTACKED, OTHER, RIGHT, Attack, cell_of, full, wrong
from attacks.python import EMIT

VALUES = [
    Attack(
        "array-that-equals-everything",
        "import numpy as np\n"
        "class Liar(np.ndarray):\n"
        "    def __eq__(self, other): return np.True_\n"
        "    def __array_ufunc__(self, *a, **k): return np.True_\n"
        "    def __array_function__(self, *a, **k): return np.True_\n"
        "    def __sub__(self, other): return 0 * np.asarray(other)\n"
        "    __rsub__ = __sub__\n"
        + wrong("return tuple(np.zeros_like(a).view(Liar) for a in (x, h, W_x, W_h, W_h[0]))"),
    ),
    Attack(
        "object-that-becomes-any-array",
        "import numpy as np\n"
        "class Liar:\n"
        "    shape, dtype, ndim = (3, 5), np.dtype(float), 2\n"
        "    def __array__(self, *a, **k): return np.zeros(self.shape)\n"
        "    def __eq__(self, other): return True\n"
        "    __array_priority__ = 1e9\n" + wrong("return (Liar(),) * 5"),
    ),
    Attack(
        "array-that-lies-about-itself",
        "import numpy as np\n"
        "class Liar(np.ndarray):\n"
        "    dtype = property(lambda self: np.dtype('longdouble'))\n"
        "    size, ndim = 0, 0\n"
        "    def astype(self, *a, **k): return self\n"
        "    def item(self): return 11.0\n" + wrong("return (np.ones((9, 9)).view(Liar),) * 5"),
    ),
    Attack(
        "list-without-end",
        "class Endless(list):\n"
        "    def __len__(self): return 5\n"
        "    def __iter__(self):\n"
        "        while True: yield 0.0\n" + wrong("return Endless([0] * 5)"),
        says="loop that never ends",
    ),
    Attack(
        "number-with-a-class-of-its-own",
        "class Right(float):\n"
        "    def __eq__(self, other): return True\n"
        "    def __repr__(self): return '11.0'\n"
        "    __hash__ = float.__hash__\n" + wrong("return (Right('nan'),) * 5"),
    ),
    Attack(
        "nan-everywhere",
        "import numpy as np\n"
        + wrong("return tuple(a * np.nan for a in (x, h, W_x, W_h, W_h[0]))"),
    ),
    Attack(
        "object-array-of-functions",
        "import numpy as np\n" + wrong("return (np.array([print, eval], dtype=object),) * 5"),
    ),
    Attack(
        "generator-as-the-answer",
        wrong("yield from (x, h, W_x, W_h, W_h[0])"),
    ),
    Attack("far-too-large", "import numpy as np\n" + wrong("return (np.ones((9000, 9000)),) * 5")),
    Attack("nested-without-end", wrong("a = []; a.append(a); return a")),
    Attack("a-huge-int", wrong("return (10 ** 100_000,) * 5")),
    Attack(
        "exception-that-lies",
        "class Liar(Exception):\n"
        "    def __str__(self): raise SystemExit(3)\n"
        "    __class__ = property(lambda self: ValueError)\n" + wrong("raise Liar()"),
    ),
    Attack(
        "script-in-a-message",
        wrong("raise ValueError('<script>alert(1)</script><img src=x onerror=alert(1)>')"),
        says="<script>",
    ),
    Attack(
        "not-a-function",
        f"class Right:\n    def __call__(self, *a): return self\n    def __eq__(self, o): return True\n{ATTACKED} = Right()",
    ),
]

ALWAYS = "import autograder\nautograder.check = "


def _forged(name: str, text: str, **other) -> Attack:
    """An answer of the student's own making, in place of what `check` would emit."""
    return Attack(
        name, f"{EMIT}{ALWAYS}lambda *a: show({{MIME: {text}}})\n{wrong()}", other=False, **other
    )


_ROW = "{'value': %s, 'failure': None, 'changed': [], 'unstable': False, 'warned': []}"

FORGED = [
    _forged("forged-score", "'11.0'", says="cannot be read"),
    _forged("forged-nothing", "''"),
    _forged("forged-object", "{'score': 11.0}"),
    _forged("forged-empty-answers", '\'{"problem": "", "answers": []}\'', says="do not belong"),
    _forged("forged-brackets", "'[' * 1_000_000", says="cannot be read"),
    _forged(
        "forged-nulls",
        f"__import__('json').dumps({{'problem': '', 'answers': [{_ROW % None}] * 12}})",
    ),
    _forged(
        "forged-extra-fields",
        f"__import__('json').dumps({{'problem': '', 'score': 11, 'points': 11, 'answers': [{_ROW % '0.0'} | {{'passed': True, 'score': 11.0}}] * 12}})",
    ),
    _forged(
        "forged-shapes",
        f"__import__('json').dumps({{'problem': '', 'answers': [{_ROW % dict(array='', shape=[-1, 0, 10**30], dtype='float64')}] * 12}})",
    ),
    _forged(
        "forged-object-dtype",
        f"__import__('json').dumps({{'problem': '', 'answers': [{_ROW % dict(array='gASVAA==', shape=[1], dtype='O')}] * 12}})",
        says="cannot be read",
    ),
    _forged(
        "forged-text-that-no-file-holds",
        "__import__('json').dumps({'problem': chr(0xD800), 'answers': []})",
    ),
    _forged(
        "forged-megabytes", "'{\"problem\": \"\", \"answers\": [' + '[],' * 15_000_000 + '[]]}'"
    ),
    Attack(
        "forged-from-the-public-answers",
        EMIT + "from autograder import frozen\nimport autograder\n"
        f"public = frozen.load('{ATTACKED}').reference\n"
        "import dataclasses\n"
        "twice = dataclasses.replace(public, answers=public.answers * 2)\n"
        "autograder.check = lambda *a: show({MIME: twice.to_json()})\n" + wrong(),
        other=False,
    ),
    _forged(
        "forged-dtype-that-takes-long-to-read",
        "__import__('json').dumps({'problem': '', 'answers': ["
        + _ROW % "{'array': '', 'shape': [0], 'dtype': '1,' * 200_000}"
        + "]})",
        says="cannot be read",
    ),
    _forged(
        "forged-reason-of-a-thousand-pages",
        "__import__('json').dumps({'problem': 'word ' * 900_000, 'answers': []})",
    ),
    Attack(
        "pickle",
        EMIT + "import base64, pickle, os\n"
        "class Bomb:\n    def __reduce__(self): return os.system, ('touch /tmp/attack-was-here',)\n"
        "text = base64.b64encode(pickle.dumps(Bomb())).decode()\n"
        "show({MIME: text, 'application/python-pickle': text})\n" + wrong("return (Bomb(),) * 5"),
    ),
    Attack(
        "emits-in-its-own-cell",
        f"{EMIT}{wrong()}\nshow({{MIME: '11.0', 'text/plain': '11.0'}})",
    ),
    Attack(
        "emits-from-a-thread",
        f"{EMIT}{wrong()}\nimport threading, time\n"
        "def emit():\n    for _ in range(500): show({MIME: '11.0'}); time.sleep(0.01)\n"
        "threading.Thread(target=emit, daemon=True).start()",
        # Whose cell a thread's outputs belong to is the kernel's affair: its own other exercise
        # may be spoilt by them, so that one is left unanswered.
        edit=lambda notebook: cell_of(notebook, OTHER).update(source=""),
        other=False,
    ),
    Attack(
        "solves-it-and-says-so-itself",
        f"{EMIT}{RIGHT[ATTACKED]}\n"
        "import autograder, os\nfrom autograder import answer, exercise, frozen\n"
        "def own(name, function):\n"
        "    e = exercise.find(name)\n"
        "    cases = [*frozen.load(name).cases, *e.cases_from(int(os.environ['AUTOGRADER_ANSWER_ONLY']))]\n"
        "    show({MIME: answer.ask(e, function, cases).to_json()})\n"
        "autograder.check = own",
        gains=full(ATTACKED),  # to forge a right answer is to solve the exercise
    ),
]

RAW = """
kernel = get_ipython().kernel
def raw(kind, content, parent=None):
    session = kernel.session
    head = [session.pack(session.msg_header(kind)),
            session.pack(parent or kernel.get_parent('shell')['header']), b'{}', content]
    kernel.iopub_socket.send_multipart([b'x', b'<IDS|MSG>', session.sign(head), *head])
"""


def _raw(name: str, *sends: str, other: bool = True) -> Attack:
    return Attack(name, wrong(), before=(RAW + "\n".join(sends),), other=other)


MESSAGES = [
    _raw("message-no-json", "raw('stream', b'{{{{')"),
    _raw("message-a-list", "raw('stream', b'[]')"),
    _raw(
        "message-deep",
        "raw('display_data', b'{\"data\":' + b'[' * 100_000 + b']' * 100_000 + b'}')",
    ),
    _raw(
        "message-odd-types",
        'raw(\'stream\', b\'{"name": 5, "text": "a"}\')',
        'raw(\'stream\', b\'{"name": "stdin", "text": "11.0"}\')',
        'raw(\'display_data\', b\'{"data": {"text/plain": {"a": 1}}, "metadata": []}\')',
        'raw(\'error\', b\'{"ename": {}, "evalue": [], "traceback": {"a": 1}}\')',
        'raw(\'execute_result\', b\'{"data": {"text/plain": "11.0"}, "metadata": {},\''
        ' b\' "execution_count": "x"}\')',
    ),
    _raw("message-odd-text", 'raw(\'stream\', b\'{"name": "stdout", "text": [1, 2]}\')'),
    _raw(
        "message-half-a-surrogate",
        'raw(\'stream\', b\'{"name": "stdout", "text": "\\\\ud800"}\')',
        'raw(\'error\', b\'{"ename": "\\\\ud800", "evalue": "", "traceback": ["\\\\ud800"]}\')',
    ),
    _raw(
        "message-html",
        'raw(\'display_data\', b\'{"data": {"text/html": "<script>11.0</script>",\''
        ' b\' "application/javascript": "alert(1)", "image/svg+xml": "<svg onload=a()>"},\''
        " b' \"metadata\": {}}')",
    ),
    _raw("message-early-idle", "raw('status', b'{\"execution_state\": \"idle\"}')"),
    _raw("message-restarting", 'raw(\'shutdown_reply\', b\'{"status": "ok", "restart": true}\')'),
    _raw(
        "message-comm",
        'raw(\'comm_open\', b\'{"comm_id": "a", "target_name": "jupyter.widget", "data": {}}\')',
        'raw(\'update_display_data\', b\'{"data": {"text/plain": "11.0"}, "metadata": {},\''
        ' b\' "transient": {"display_id": "a"}}\')',
        'raw(\'input_request\', b\'{"prompt": "", "password": false}\')',
        "raw('clear_output', b'{\"wait\": false}')",
    ),
    _raw(
        "message-of-a-hundred-megabytes",
        "raw('stream', b'{\"name\": \"stdout\", \"text\": \"' + b'x' * (100 << 20) + b'\"}')",
    ),
    Attack(
        "message-unsigned-flood",
        wrong(),
        before=(
            "for _ in range(2000):\n"
            "    get_ipython().kernel.iopub_socket.send_multipart([b'x', b'<IDS|MSG>', b'no', b'{}'])",
        ),
    ),
    Attack(
        "message-without-end",
        wrong(),
        before=(
            "import os, socket\n"
            "for name in ('k-2', 'k-1'):\n"
            "    for fd in os.listdir('/proc/self/fd'):\n"
            "        try:\n"
            "            line = socket.socket(fileno=os.dup(int(fd)))\n"
            "            if line.getsockname() != f'/jail/sockets/{name}': continue\n"
            "            if line.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN): continue\n"
            "            line.setblocking(True)\n"
            "            for _ in range(500):\n"
            "                line.sendall(b'\\3' + (1 << 20).to_bytes(8, 'big') + bytes(1 << 20))\n"
            "        except OSError: pass",
        ),
        other=None,  # how long the flood keeps the attacker's own kernel busy depends on the machine
    ),
    Attack(
        "replies-to-nobody",
        wrong(),
        before=(
            "import time\n"
            "kernel = get_ipython().kernel\n"
            "send = kernel.session.send\n"
            "def flood(stream, kind, content=None, *a, **k):\n"
            "    end = time.time() + 8\n"
            "    while kind == 'execute_reply' and time.time() < end:\n"
            "        kernel.session.send = send\n"
            "        send(stream, kind, {'status': 'ok'}, parent={'msg_id': 'x'}, ident=k['ident'])\n"
            "    return send(stream, kind, content, *a, **k)\n"
            "kernel.session.send = flood",
        ),
    ),
    Attack(
        "error-of-megabytes-in-every-reply",
        wrong(),
        before=(
            "kernel = get_ipython().kernel\n"
            "send = kernel.session.send\n"
            "def forged(stream, kind, content=None, *a, **k):\n"
            "    if kind == 'execute_reply':\n"
            "        content = {'status': 'error', 'ename': 'E', 'evalue': 'v' * 9_000_000,\n"
            "                   'traceback': ['x' * 9_000_000], 'execution_count': 1}\n"
            "    return send(stream, kind, content, *a, **k)\n"
            "kernel.session.send = forged",
        ),
    ),
    Attack(
        "reply-forged",
        wrong(),
        before=(
            "kernel = get_ipython().kernel\n"
            "send = kernel.session.send\n"
            "def forged(stream, kind, content=None, *a, **k):\n"
            "    if kind == 'execute_reply' or getattr(kind, 'get', lambda n: '')('msg_type') == 'execute_reply':\n"
            "        content = {'status': 'ok', 'user_expressions': {}, 'payload': [\n"
            "            {'source': 'set_next_input', 'text': '11.0', 'replace': True}],\n"
            "            'execution_count': 'x'}\n"
            "    return send(stream, kind, content, *a, **k)\n"
            "kernel.session.send = forged",
        ),
    ),
    Attack(
        "closes-its-sockets",
        "import os, stat\n"
        "for fd in range(3, 500):\n"
        "    try:\n        if stat.S_ISSOCK(os.fstat(fd).st_mode): os.close(fd)\n"
        "    except OSError: pass",
    ),
]
