"""Tests of asyncframes."""

import os

# NumPy reads it when it is imported. The threads of OpenBLAS wait in a loop for work: beside other
# processes they made one test file take 90 s instead of 3.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
