"""Other people's codecs behind the same protocol."""
