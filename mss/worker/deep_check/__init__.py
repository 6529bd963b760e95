"""Is a document valid against the schemas and the national rules that the administrator has?

Slow (seconds to start, tenths of a second a document) and hungry (a gibibyte for the whole
national set), so it is never in the path of mail: a process of its own does it, with limits of
time and memory, and whatever happens to that process is a finding.
"""

from mss.worker.deep_check.checker import DeepChecker, deep_check

__all__ = ["DeepChecker", "deep_check"]
