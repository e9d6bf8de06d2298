"""Is it fit to move on: Great Expectations suites and the check that runs them."""
