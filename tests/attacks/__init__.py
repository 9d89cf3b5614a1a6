"""Hostile and broken submissions, each with what it may gain, and the tests that run them all.

attack.py      what an attack is, and the small assignment that is attacked
notebooks.py   the file: metadata, tags, cells, and files that are no notebook
python.py      hooks, patched libraries, shadowing modules, searches through frames and memory
machine.py     files, network, processes, memory, disk and output
messages.py    lying values, forged answers, forged messages, pickles
"""
