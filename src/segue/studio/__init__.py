"""The studio: a local web application over both generators; it holds no music and no mathematics."""
