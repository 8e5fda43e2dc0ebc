"""A wallet's past through the engine: tapes, books by tier, runs, look backs."""
