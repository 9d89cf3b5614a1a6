"""Where submissions run: kernels forked from a warm process into namespaces of their own.

jail.py         what a kernel sees and may use: namespaces, mounts, limits
zygote.py       the warm process that kernels are forked from
warm.py         the grader's end of it: start the zygote, ask for kernels
channels.py     how the grader talks to a kernel
provisioner.py  jupyter_client's extension point: kernels made this way
"""
