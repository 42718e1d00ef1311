"""Plugs to pull: the processes, the wires between them and the faults of benchmarks/faults.py."""
