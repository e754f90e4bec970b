"""The second stage: latents out of noise."""
