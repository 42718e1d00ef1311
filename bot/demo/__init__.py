"""The whole product on one machine, and the demo that runs it."""
