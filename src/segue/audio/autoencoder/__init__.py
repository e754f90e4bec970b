"""The first stage: audio to latents and back."""
