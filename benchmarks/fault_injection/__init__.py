"""Fault injection for benchmarks/faults.py: real processes, the links between them, and the faults."""
