"""The GPT, how it is trained and how it is exported."""
