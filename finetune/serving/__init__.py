"""Serving: predictions, exports and the HTTP server."""
