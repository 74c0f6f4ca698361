"""Where the rows come from: sources, the target, the columns as numbers, and the rows held out."""
