"""What a network does inside: units and gates of its SE blocks, and the paper's chain of neurons."""
