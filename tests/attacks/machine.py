"""Attacks on the machine: files, network, processes, memory, disk, output, time."""

from attacks.attack import ATTACKED, SIGNATURE, Attack, wrong

OUTSIDE = "('/', '/etc', '/usr/bin', '/usr/lib', '/root', '/home', '/var/tmp', '/opt', '/dev', '..', '../..')"

FILES = [
    Attack(
        "writes-outside",
        wrong(),
        before=(
            "import autograder, os, sys\n"
            f"places = [*{OUTSIDE}, os.path.dirname(autograder.__file__), *sys.path]\n"
            "for place in places:\n"
            "    if os.path.realpath(place) != '/jail/work':\n"
            "        try:\n"
            "            open(os.path.join(place, 'attack-was-here'), 'w').write('11.0')\n"
            "            print('WRITTEN', place)\n"
            "        except OSError: pass",
        ),
    ),
    Attack(
        "removes-everything",
        wrong(),
        before=(
            "import shutil\n"
            "shutil.rmtree('/', ignore_errors=True)\n"
            "shutil.rmtree('/jail/sockets', ignore_errors=True)",
        ),
        other=True,
    ),
    Attack(
        "edits-the-gradebook",
        "import os, sqlite3\n"
        "found = [os.path.join(place, name) for place, _, names in os.walk('/')\n"
        "         if '/proc' not in place for name in names if name == 'gradebook.db']\n"
        "sqlite3.connect(found[0]).execute('update grade set auto_score = 11.0').connection.commit()",
        says="IndexError",
    ),
    Attack(
        "patches-the-installed-autograder",
        wrong(),
        before=(
            "import autograder.verdict as v, numpy\n"
            "for module in (v, numpy):\n"
            "    try: open(module.__file__, 'a').write('score = 11.0')\n"
            "    except OSError as error: print(error)\n"
            "    else: print('WRITTEN', module)",
        ),
    ),
    Attack(
        "links-to-the-outside",
        wrong(),
        before=(
            "import os\n"
            "for n, target in enumerate(('/etc/shadow', '/root', '/proc/1/root', '/old', '/')):\n"
            "    for place in ('/jail/work', '/jail/sockets'):\n"
            "        try: os.symlink(target, f'{place}/link{n}')\n"
            "        except OSError: pass\n"
            "for root, folders, files in os.walk('/jail/sockets', followlinks=False): pass",
        ),
    ),
    Attack(
        "mounts-and-namespaces",
        wrong(),
        before=(
            "import ctypes\n"
            "libc = ctypes.CDLL(None)\n"
            "for flag in (0x10000000, 0x00020000, 0x20000000, 0x40000000):\n"
            "    if libc.unshare(flag) == 0: print('WRITTEN namespace', flag)\n"
            "for path in (b'/', b'/usr', b'/jail/work'):\n"
            "    if libc.mount(b'', path, None, 32 | 4096, None) == 0: print('WRITTEN', path)\n"
            "    if libc.umount2(path, 2) == 0: print('WRITTEN', path)\n"
            "if libc.chroot(b'/jail/work') == 0 or libc.setuid(0) == 0: print('WRITTEN root')",
        ),
    ),
]

NETWORK = [
    Attack(
        "asks-the-network",
        "import socket\n"
        "with socket.create_connection(('1.1.1.1', 53), timeout=2) as line:\n"
        f"    line.sendall(b'?')\n    {ATTACKED} = line.recv",
        says="OSError",
    ),
    Attack(
        "asks-this-machine",
        "import socket\n"
        "open_ports = []\n"
        "for port in (22, 53, 80, 443, 5432, 8000, 8080, 8786, 8787, 8888):\n"
        "    try: open_ports.append(socket.create_connection(('127.0.0.1', port), timeout=0.2))\n"
        "    except OSError: pass\n"
        f"{ATTACKED} = open_ports[0].recv",
        says="IndexError",
    ),
    Attack(
        "asks-the-hypervisor",
        "import socket\n"
        "try: line = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)\n"
        "except OSError: raise LookupError('no such socket')\n"
        f"{ATTACKED} = line.recv",
        says="LookupError",
    ),
    Attack(
        "resolves-a-name",
        f"import urllib.request\n{ATTACKED} = urllib.request.urlopen('http://example.org').read()",
        says="URLError",
    ),
]

PROCESSES = [
    Attack(
        "signals-to-everybody",
        wrong(),
        before=(
            "import os, signal\n"
            "for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP, signal.SIGINT):\n"
            "    for target in (os.getppid(), -1, *range(2, 400)):\n"
            "        if target > 1 or target == -1:\n"
            "            try: os.kill(target, number)\n"
            "            except OSError: pass",
        ),
    ),
    Attack("kills-itself", wrong("import os; os.kill(os.getpid(), 9)"), says=""),
    Attack(
        "kills-its-parent",
        wrong("import os, signal; os.kill(os.getppid(), signal.SIGKILL)"),
    ),
    Attack(
        "fork-bomb",
        wrong(),
        before=(
            "import os\n"
            "if (child := os.fork()) == 0:\n"
            "    import time\n"
            "    for _ in range(3000):\n"
            "        try: os.fork()\n"
            "        except OSError: time.sleep(0.01)\n"
            "    os._exit(0)",
        ),
        other=True,
    ),
    Attack(
        "thread-bomb",
        wrong(),
        before=(
            "import threading, time\n"
            "try:\n"
            "    while True: threading.Thread(target=time.sleep, args=(99,), daemon=True).start()\n"
            "except RuntimeError as error: print(error)",
        ),
        other=True,
    ),
    Attack(
        "has-itself-killed-for-its-seconds",
        wrong(),
        before=(
            "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True: pass",
        ),
    ),
    Attack(
        "daemon-that-stays",
        wrong(),
        before=(
            "import os, signal, time\n"
            "if os.fork() == 0:\n"
            "    os.setsid()\n"
            "    if os.fork() == 0:\n"
            "        for n in range(1, 32):\n"
            "            try: signal.signal(n, signal.SIG_IGN)\n"
            "            except (OSError, ValueError): pass\n"
            "        while True: time.sleep(1)\n"
            "    os._exit(0)\n"
            "os.wait()",
        ),
    ),
    Attack(
        "forks-and-returns-twice",
        wrong("import os; os.fork(); return 0"),
        other=True,
    ),
]

FLOODS = [
    Attack(
        "memory",
        wrong("return bytearray(8 << 30)"),
        says="MemoryError",
    ),
    Attack(
        "memory-of-many-processes",
        wrong(),
        before=(
            "import os, time\n"
            "for _ in range(8):\n"
            "    if os.fork() == 0:\n"
            "        kept = bytearray(b'x') * (700 << 20)\n"
            "        time.sleep(60)\n"
            "        os._exit(0)\n"
            "time.sleep(60)",
        ),
        other=None,  # on a busy machine it ends in the midst of a later cell
    ),
    Attack(
        "disk",
        wrong(),
        before=(
            "written = 0\n"
            "for place in ('/jail/work', '/jail/sockets', '/tmp', '/dev/shm'):\n"
            "    for n in range(4):\n"
            "        try:\n"
            "            with open(f'{place}/flood{place[1:4]}{n}', 'xb') as file:\n"
            "                for _ in range(64):\n"
            "                    file.write(bytes(1 << 20)); file.flush(); written += 1\n"
            "        except OSError: pass\n"
            "if written > 64: print('WRITTEN', written, 'MB')",
        ),
        other=True,
    ),
    Attack(
        "inodes",
        wrong(),
        before=(
            "made = 0\n"
            "for place in ('/jail/work', '/jail/sockets'):\n"
            "    try:\n"
            "        for n in range(10_000):\n"
            "            open(f'{place}/{n}', 'w').close(); made += 1\n"
            "    except OSError: pass\n"
            "if made > 4096: print('WRITTEN', made, 'files')",
        ),
        other=True,
    ),
    Attack(
        "output",
        wrong(),
        before=("for _ in range(300): print('x' * 100_000)",),
    ),
    Attack(
        "output-in-many-pieces",
        wrong(),
        before=(
            "from IPython.display import display\n"
            "for n in range(3000): display({'text/plain': str(n)}, raw=True)",
        ),
    ),
    Attack(
        "output-of-a-picture-that-takes-hours-to-look-at",
        wrong(),
        before=(
            "from IPython.display import display\n"
            "display({'image/png': ' ' * 900_000 + '!'}, raw=True)",
        ),
    ),
    Attack(
        "output-from-the-answer",
        wrong("print('11.0\\n' * 100_000); import sys; sys.__stdout__.write('11'); return 0"),
    ),
    Attack(
        "open-files",
        wrong(),
        before=(
            "kept = []\n"
            "try:\n"
            "    while True: kept.append(open('/dev/null'))\n"
            "except OSError as error: print(error)\n"
            "kept.clear()",
        ),
    ),
]

HANGS = [
    Attack("endless-loop", wrong("while True: pass"), says="loop that never ends"),
    Attack("endless-loop-in-its-cell", "while True: pass", says="was not done in time"),
    Attack(
        "loop-that-swallows-interrupts",
        wrong(
            "while True:\n        try:\n            while True: pass\n"
            "        except BaseException: pass"
        ),
        says="loop that never ends",
    ),
    Attack(
        "deaf-to-interrupts",
        "import signal\nfor n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):\n"
        "    signal.signal(n, signal.SIG_IGN)\nwhile True: pass",
    ),
    Attack(
        "sleeps-in-c",
        "import ctypes, signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})\n"
        f"{SIGNATURE}\n    ctypes.CDLL(None).sleep(1000)",
        says="loop that never ends",
    ),
    Attack(
        "stops-itself", "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nwhile True: pass"
    ),
    Attack("waits-for-input", "input('?')", says="there was no function"),
]
