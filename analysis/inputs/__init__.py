"""Where examples come from: a mixture with known η, a user's features, extreme-classification files."""
