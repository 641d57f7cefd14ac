"""The figures against the truth: a daemon lives through a long random story, and every metric is held against it.

The daemon under test is asked for nothing but its metrics and the states that people see. What really happened is
known from elsewhere: each process of the fleet (`actor`) holds a connection to the script, so its birth, its death and
what it used are the kernel's and its own word; who killed it, and how, is the script's.
"""

from __future__ import annotations
