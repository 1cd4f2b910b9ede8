import os

# Before anything loads a library that calculates: the workers of pytest share the machine, and threads of OpenMP that
# wait for a core burn it. What a test starts as a process of its own sees nothing of this: tests.conftest.
os.environ["OMP_NUM_THREADS"] = "1"
