"""Durable jobs on RQ around finetune: the ledger decides, Redis carries, workers only report."""
