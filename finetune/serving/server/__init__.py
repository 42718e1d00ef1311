"""`trainwise serve` over HTTP: keys and limits, the loaded versions, the routes, metrics, and leaving without a loss."""
