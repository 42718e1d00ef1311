"""What travels between bot and workers: signed orders and events over Redis."""
