"""How near generated and reconstructed audio come to the real."""
