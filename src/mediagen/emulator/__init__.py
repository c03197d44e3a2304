"""A local stand-in that speaks Google's Gemini API over real HTTP, so that everything can be tried without a key."""
