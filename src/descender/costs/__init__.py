"""What is minimised: costs, their losses and penalties, and how far from the bottom one is."""
