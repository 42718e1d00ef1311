"""The whole product on one machine, and the story that `trainwise demo` tells."""
