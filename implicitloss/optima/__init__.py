"""What a scheme teaches: minimisers of its expected loss where η(x) is known."""
