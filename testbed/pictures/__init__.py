"""Files of pictures that tests and benchmarks make: plain ones, odd ones, and what is not read."""
